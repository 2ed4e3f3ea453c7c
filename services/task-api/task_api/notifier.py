"""Telling people, through notification-service."""

from typing import Protocol

from shared_models import NotificationReceipt, NotificationRequest, TaskEvent


class Notifier(Protocol):
    async def notify(self, request: NotificationRequest) -> NotificationReceipt:
        """Have a notification delivered; the same `event_id` is delivered once.

        Raises:
            Unavailable: notification-service does not answer.
            Unprocessable: it refuses the request, and will again.
        """
        ...


def completed(event_id: str, event: TaskEvent) -> NotificationRequest:
    """Return the notification that a completed task is worth."""
    return NotificationRequest(
        type="task_completed",
        task_id=event.task_id,
        message=f"Task '{event.title}' has been completed",
        recipient=event.assignee,
        event_id=event_id,
    )
