"""What crosses the wire between task-api, notification-service and their clients. No I/O."""

from shared_models.dead_letters import (
    MESSAGE_REFUSED,
    DeadLetter,
    Discarded,
    Fate,
    Message,
    Refusal,
    Replayed,
    Verdict,
)
from shared_models.events import CHANGES_INTENDED, CloudEvent, TaskEvent, TaskEventType
from shared_models.notifications import (
    Notification,
    NotificationReceipt,
    NotificationRequest,
    NotificationStatus,
)
from shared_models.pages import Page
from shared_models.tasks import Priority, Task, TaskCreate, TaskPatch, TaskStatus

__all__ = [
    "CHANGES_INTENDED",
    "MESSAGE_REFUSED",
    "CloudEvent",
    "DeadLetter",
    "Discarded",
    "Fate",
    "Message",
    "Notification",
    "NotificationReceipt",
    "NotificationRequest",
    "NotificationStatus",
    "Page",
    "Priority",
    "Refusal",
    "Replayed",
    "Task",
    "TaskCreate",
    "TaskEvent",
    "TaskEventType",
    "TaskPatch",
    "TaskStatus",
    "Verdict",
]
