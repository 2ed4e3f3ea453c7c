"""task-api: the only place that wires it."""

from fastapi import FastAPI

from service_kit.refusals import DeadLetterTopic
from service_kit.service import create_service
from service_kit.service import serve as serve_service
from service_kit.settings import read_settings
from task_api import dapr_adapters, routes, subscriptions
from task_api.adapters import Adapters
from task_api.idempotency import KeyReused, TaskOfKeyDeleted
from task_api.settings import Settings
from task_api.tasks import PreconditionFailed, TaskNotFound, Tasks

STATUSES: dict[type[Exception], int] = {
    TaskNotFound: 404,
    TaskOfKeyDeleted: 410,
    PreconditionFailed: 412,
    KeyReused: 422,
}


def create_app(settings: Settings | None = None, adapters: Adapters | None = None) -> FastAPI:
    """Return the application, on Dapr unless `adapters` are given."""
    settings = settings or Settings()
    adapters = adapters or dapr_adapters.connect(settings)
    tasks = Tasks(adapters.store, adapters.publisher, adapters.changelog, settings)
    refused = DeadLetterTopic(adapters.publisher, settings.dead_letter_topic, settings.app_id)
    return create_service(
        "task-api",
        settings,
        sidecar=adapters.sidecar,
        store=adapters.store,
        secrets=adapters.secrets,
        routes=routes.router,
        subscriptions=[
            subscriptions.task_changes(settings, tasks.announcements, refused.publish),
            subscriptions.task_events(settings, adapters.notifier, refused.publish),
        ],
        redelivered_by=settings.notification_app_id,
        state={"tasks": tasks},
        statuses=STATUSES,
    )


def serve() -> None:
    """Run the service with the settings of the environment."""
    serve_service("task_api.main:create_app", read_settings(Settings))


if __name__ == "__main__":
    serve()
