"""notification-service: the only place that wires it."""

from fastapi import FastAPI

from notification_service import dapr_adapters, routes, subscriptions
from notification_service.adapters import Adapters
from notification_service.dead_letters import DeadLetterNotFound, DeadLetters, NotReplayable
from notification_service.notifications import Activity, Notifications
from notification_service.preferences import Preferences, PreferencesTooLarge
from notification_service.settings import Settings
from notification_service.stream import LiveNotifications
from service_kit.service import create_service
from service_kit.service import serve as serve_service

STATUSES: dict[type[Exception], int] = {
    DeadLetterNotFound: 404,
    NotReplayable: 409,
    PreferencesTooLarge: 413,
}


def create_app(settings: Settings | None = None, adapters: Adapters | None = None) -> FastAPI:
    """Return the application, on Dapr unless `adapters` are given."""
    settings = settings or Settings()
    adapters = adapters or dapr_adapters.connect(settings)
    notifications = Notifications(adapters.store, adapters.delivery)
    app = create_service(
        "notification-service",
        settings,
        sidecar=adapters.sidecar,
        store=adapters.store,
        publisher=adapters.publisher,
        secrets=adapters.secrets,
        state={
            "notifications": notifications,
            "activity": Activity(adapters.store),
            "preferences": Preferences(adapters.store),
            "dead_letters": DeadLetters(
                adapters.store, adapters.publisher, settings.task_events_topic
            ),
            "live": LiveNotifications(notifications, settings.stream_interval),
        },
        statuses=STATUSES,
    )
    app.include_router(routes.router)
    app.include_router(subscriptions.router)
    return app


def serve() -> None:
    """Run the service with the settings of the environment."""
    serve_service("notification_service.main:create_app", Settings())


if __name__ == "__main__":
    serve()
