"""Deliver notifications once, and list them; keep the activity feed."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4
from weakref import WeakValueDictionary

import structlog

from notification_service.delivery import Delivery
from service_kit.keys import digest
from service_kit.live_lists import LiveList
from service_kit.ports import Conflict, StateStore, Unavailable
from service_kit.recent import Recent
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
from shared_models.text import nfc

log = structlog.get_logger()


class Notifications:
    """Notifications, each delivered once.

    One is stored as pending, delivered, and then marked as sent. A process that stops in between
    leaves it pending; whoever is asked again delivers it, once the first delivery must be over. So
    only what a process was delivering when it stopped is delivered twice.
    """

    def __init__(self, store: StateStore, delivery: Delivery) -> None:
        self._records = Records(store, "notification", Notification)
        self._delivery = delivery
        # What this process did itself, for a second call where the first one had no answer.
        self._attempts: Recent[datetime] = Recent()
        self._delivered: Recent[None] = Recent()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def notify(self, request: NotificationRequest) -> NotificationReceipt:
        """Deliver a notification, unless one with its `event_id` has been delivered.

        Raises:
            Unavailable: it is not known to be delivered; ask again.
        """
        id = _id_of(request.event_id)
        turn = self._turns.setdefault(id, asyncio.Lock())
        async with turn:
            status = await self._deliver_once(id, request)
        return NotificationReceipt(id=id, status=status)

    async def _deliver_once(self, id: str, request: NotificationRequest) -> NotificationStatus:
        notification = Notification(
            id=id,
            created_at=self._attempts.setdefault(id, now()),
            status=NotificationStatus.PENDING,
            **request.model_dump(exclude={"event_id"}),
        )
        group = _task_group(request.task_id)
        if id not in self._delivered:
            try:
                added = await self._records.add(id, notification, group=group)
                if not added and not await self._records.change(id, self._taken_over):
                    return NotificationStatus.DUPLICATE
            except Conflict as conflict:
                raise Unavailable(f"Somebody else delivers notification {id}.") from conflict
            may_take = self._delivery.may_take
            if may_take and now() - self._attempts[id] >= may_take:
                raise Unavailable(f"Notification {id} may have been taken over by now.")
            await self._delivery.deliver(notification)
            self._delivered[id] = None
        try:
            marked = await self._records.change(id, _sent)
        except Conflict as conflict:
            raise Unavailable(f"Somebody else marks notification {id}.") from conflict
        if not marked:
            return NotificationStatus.DUPLICATE
        log.info(
            "notification_delivered",
            notification_id=id,
            task_id=request.task_id,
            type=request.type,
            recipient=request.recipient,
        )
        return NotificationStatus.SENT

    def live(self, interval: timedelta) -> LiveList[Notification]:
        """Return what is sent, to follow."""
        return LiveList(self._records, _is_sent, interval)

    def _taken_over(self, present: Notification) -> Notification | None:
        """Return the notification as this process takes it over, or None where it is sent."""
        if present.status is NotificationStatus.SENT:
            return None
        own = present.created_at == self._attempts.get(present.id)
        if not own and now() - present.created_at < self._delivery.may_take:
            raise Unavailable(f"Notification {present.id} is being delivered.")
        self._attempts[present.id] = now()
        return present.model_copy(update={"created_at": self._attempts[present.id]})

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
            wanted=lambda notification: _is_sent(notification) and is_to(notification, recipient),
            filters=(recipient,),
        )


class Activity:
    """What happened to all tasks, each event once however often it is delivered."""

    def __init__(self, store: StateStore) -> None:
        self._records = Records(store, "activity", TaskEvent)

    async def add(self, event_id: str, event: TaskEvent) -> None:
        """Keep an event; one with the same id is kept once."""
        await self._records.add(event_id, event)

    async def find(self, limit: int, cursor: str | None = None) -> Page[TaskEvent]:
        """Return a page of events, the last to arrive first."""
        return await self._records.newest_first(limit, cursor)

    def live(self, interval: timedelta) -> LiveList[TaskEvent]:
        """Return what arrives, to follow."""
        return LiveList(self._records, lambda event: True, interval)


def is_to(notification: Notification, recipient: str | None) -> bool:
    """Return whether a notification is for `recipient`; None is anybody."""
    return recipient in (None, nfc(notification.recipient or ""))


def _is_sent(notification: Notification) -> bool:
    return notification.status is NotificationStatus.SENT


def _sent(notification: Notification) -> Notification | None:
    if notification.status is NotificationStatus.SENT:
        return None
    return notification.model_copy(update={"status": NotificationStatus.SENT})


def _id_of(event_id: str | None) -> str:
    """Return the id of an event's notification: always the same, so that it is delivered once."""
    if event_id is None:
        return str(uuid4())
    return digest(event_id)


def _task_group(task_id: str) -> str:
    return f"task-{task_id}"
