"""notification-service: the only place that wires it."""

from fastapi import FastAPI

from notification_service import dapr_adapters, routes, subscriptions
from notification_service.adapters import Adapters
from notification_service.dead_letter_topic import DeadLetterTopicHandler
from notification_service.dead_letters import DeadLetterNotFound, DeadLetters, NotReplayable
from notification_service.notifications import Activity, Notifications
from notification_service.preferences import Preferences, PreferencesTooLarge
from notification_service.redelivery import RedeliveryToAll
from notification_service.settings import Settings
from notification_service.stream import LiveNotifications
from notification_service.subscribers import Subscribers
from notification_service.undelivered import Undelivered
from service_kit.refusals import DeadLetterTopic
from service_kit.service import create_service
from service_kit.service import serve as serve_service
from service_kit.settings import read_settings

STATUSES: dict[type[Exception], int] = {
    DeadLetterNotFound: 404,
    NotReplayable: 409,
    PreferencesTooLarge: 413,
}


def create_app(settings: Settings | None = None, adapters: Adapters | None = None) -> FastAPI:
    """Return the application, on Dapr unless `adapters` are given."""
    settings = settings or Settings()
    adapters = adapters or dapr_adapters.connect(settings)
    store = adapters.store
    notifications = Notifications(store, adapters.delivery)
    activity = Activity(store)
    refused = DeadLetterTopic(adapters.publisher, settings.dead_letter_topic, settings.app_id)
    events = subscriptions.task_events(settings, activity, refused.publish)
    redelivery = RedeliveryToAll(settings.app_id, [events], adapters.redelivery)
    subscribers = Subscribers(settings)
    dead_letters = DeadLetters(store, subscribers, redelivery)
    undelivered = Undelivered(
        store,
        redelivery,
        dead_letters,
        settings.redelivery_pause,
        settings.redelivery_attempts,
    )
    arrivals = DeadLetterTopicHandler(subscribers, undelivered, dead_letters)
    return create_service(
        "notification-service",
        settings,
        sidecar=adapters.sidecar,
        store=store,
        secrets=adapters.secrets,
        routes=routes.router,
        subscriptions=[
            events,
            subscriptions.dead_letters(settings, arrivals.handle, arrivals.keep),
        ],
        background=[undelivered.deliver_for_ever],
        state={
            "notifications": notifications,
            "activity": activity,
            "preferences": Preferences(store),
            "dead_letters": dead_letters,
            "live": LiveNotifications(notifications, settings.stream_interval),
        },
        statuses=STATUSES,
    )


def serve() -> None:
    """Run the service with the settings of the environment."""
    serve_service("notification_service.main:create_app", read_settings(Settings))


if __name__ == "__main__":
    serve()
