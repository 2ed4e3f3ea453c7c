"""What the sidecar of notification-service delivers. components/ binds the topics to the routes."""

from notification_service.notifications import Activity
from notification_service.settings import Settings
from service_kit.messages import read_task_event
from service_kit.subscriptions import Handle, Refuse, Subscription, events
from shared_models import CloudEvent


def task_events(settings: Settings, activity: Activity, refuse: Refuse) -> Subscription:
    """Every event of every task, for the activity feed."""

    async def handle(event: CloudEvent) -> None:
        await activity.add(event.id, read_task_event(event))

    return Subscription(settings.pubsub, settings.task_events_topic, events(handle), refuse)


def dead_letters(settings: Settings, handle: Handle, refuse: Refuse) -> Subscription:
    """What no app could handle, or what a sidecar could not deliver."""
    return Subscription(settings.pubsub, settings.dead_letter_topic, handle, refuse)
