"""task-api: the only place that wires it."""

from fastapi import FastAPI

from service_kit.service import create_service
from service_kit.service import serve as serve_service
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
    app = create_service(
        "task-api",
        settings,
        sidecar=adapters.sidecar,
        store=adapters.store,
        publisher=adapters.publisher,
        secrets=adapters.secrets,
        state={
            "tasks": tasks,
            "announcements": tasks.announcements,
            "notifier": adapters.notifier,
        },
        statuses=STATUSES,
    )
    app.include_router(routes.router)
    app.include_router(subscriptions.router)
    return app


def serve() -> None:
    """Run the service with the settings of the environment."""
    serve_service("task_api.main:create_app", Settings())


if __name__ == "__main__":
    serve()
