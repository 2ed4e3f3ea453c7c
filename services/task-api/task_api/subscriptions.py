"""What the sidecar of task-api delivers. components/ binds the topics to these routes."""

from service_kit.messages import read_task_event
from service_kit.subscriptions import Refuse, Subscription, events
from shared_models import CloudEvent, TaskEventType
from task_api.announcements import Announcements
from task_api.notifier import Notifier, completed
from task_api.settings import Settings


def task_changes(settings: Settings, announcements: Announcements, refuse: Refuse) -> Subscription:
    """The intents, which only task-api reads and writes."""
    handle = events(announcements.handle)
    return Subscription(settings.changelog, settings.task_changes_topic, handle, refuse)


def task_events(settings: Settings, notifier: Notifier, refuse: Refuse) -> Subscription:
    """Events of tasks, of which those are notified that are completed."""

    async def handle(event: CloudEvent) -> None:
        await notifier.notify(completed(event.id, read_task_event(event)))

    handle_completed = events(handle, types={TaskEventType.COMPLETED})
    return Subscription(settings.pubsub, settings.task_events_topic, handle_completed, refuse)
