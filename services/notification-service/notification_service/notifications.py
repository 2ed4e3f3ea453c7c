"""Deliver notifications once, and list them; keep the activity feed."""

from uuid import uuid4

from notification_service.delivery import Delivery
from service_kit.keys import digest
from service_kit.ports import StateStore
from service_kit.records import Records
from shared_models import (
    Notification,
    NotificationReceipt,
    NotificationRequest,
    NotificationStatus,
    Page,
    TaskEvent,
)
from shared_models.moments import now


class Notifications:
    def __init__(self, store: StateStore, delivery: Delivery) -> None:
        self._records = Records(store, "notification", Notification)
        self._delivery = delivery

    async def notify(self, request: NotificationRequest) -> NotificationReceipt:
        """Store and deliver a notification, unless one with its `event_id` is stored already."""
        id = _id_of(request.event_id)
        notification = Notification(
            id=id, created_at=now(), **request.model_dump(exclude={"event_id"})
        )
        if not await self._records.add(id, notification, group=_task_group(request.task_id)):
            return NotificationReceipt(id=id, status=NotificationStatus.DUPLICATE)
        await self._delivery.deliver(notification)
        return NotificationReceipt(id=id, status=NotificationStatus.SENT)

    async def find(
        self,
        limit: int,
        cursor: str | None = None,
        task_id: str | None = None,
        recipient: str | None = None,
    ) -> Page[Notification]:
        """Return a page of the notifications that match, newest first."""
        return await self._records.newest_first(
            limit,
            cursor,
            group=_task_group(task_id) if task_id is not None else None,
            wanted=lambda notification: recipient in (None, notification.recipient),
        )


class Activity:
    """What happened to all tasks, each event once however often it is delivered."""

    def __init__(self, store: StateStore) -> None:
        self._records = Records(store, "activity", TaskEvent)

    async def add(self, event: TaskEvent) -> None:
        await self._records.add(event.id, event)

    async def find(self, limit: int, cursor: str | None = None) -> Page[TaskEvent]:
        """Return a page of events, the last to arrive first."""
        return await self._records.newest_first(limit, cursor)


def _id_of(event_id: str | None) -> str:
    """Return the id of an event's notification: always the same, so that it is delivered once."""
    if event_id is None:
        return str(uuid4())
    return digest(event_id)


def _task_group(task_id: str) -> str:
    return f"task-{task_id}"
