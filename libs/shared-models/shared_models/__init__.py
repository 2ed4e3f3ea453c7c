"""What crosses the wire between task-api, notification-service and their clients. No I/O."""

from shared_models.events import CHANGES_INTENDED, CloudEvent, TaskEvent, TaskEventType
from shared_models.notifications import (
    DeadLetter,
    Notification,
    NotificationReceipt,
    NotificationRequest,
    NotificationStatus,
)
from shared_models.pages import Page
from shared_models.tasks import Priority, Task, TaskCreate, TaskPatch, TaskStatus

__all__ = [
    "CHANGES_INTENDED",
    "CloudEvent",
    "DeadLetter",
    "Notification",
    "NotificationReceipt",
    "NotificationRequest",
    "NotificationStatus",
    "Page",
    "Priority",
    "Task",
    "TaskCreate",
    "TaskEvent",
    "TaskEventType",
    "TaskPatch",
    "TaskStatus",
]
