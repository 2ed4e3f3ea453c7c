"""notification-service: the only place that wires it."""

from fastapi import FastAPI

from notification_service import dapr_adapters, routes, subscriptions
from notification_service.adapters import Adapters
from notification_service.dead_letters import DeadLetterNotFound, DeadLetters, NotReplayable
from notification_service.notifications import Activity, Notifications
from notification_service.preferences import Preferences
from notification_service.settings import Settings
from service_kit.service import create_service
from service_kit.service import serve as serve_service

STATUSES: dict[type[Exception], int] = {
    DeadLetterNotFound: 404,
    NotReplayable: 409,
}


def create_app(settings: Settings | None = None, adapters: Adapters | None = None) -> FastAPI:
    """Return the application, on Dapr unless `adapters` are given."""
    settings = settings or Settings()
    adapters = adapters or dapr_adapters.connect(settings)
    notifications = Notifications(adapters.store, adapters.delivery)
    activity = Activity(adapters.store)
    live_notifications = notifications.live(settings.stream_interval)
    live_activity = activity.live(settings.stream_interval)

    def end_streams() -> None:
        live_notifications.close()
        live_activity.close()

    app = create_service(
        "notification-service",
        settings,
        sidecar=adapters.sidecar,
        store=adapters.store,
        publisher=adapters.publisher,
        secrets=adapters.secrets,
        state={
            "notifications": notifications,
            "activity": activity,
            "preferences": Preferences(adapters.store),
            "dead_letters": DeadLetters(
                adapters.store, adapters.publisher, settings.task_events_topic
            ),
            "live_notifications": live_notifications,
            "live_activity": live_activity,
        },
        statuses=STATUSES,
        at_stop=end_streams,
    )
    app.include_router(routes.router)
    app.include_router(subscriptions.router)
    return app


def serve() -> None:
    """Run the service with the settings of the environment."""
    serve_service("notification_service.main:create_app", Settings())


if __name__ == "__main__":
    serve()
