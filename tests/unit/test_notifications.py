"""One notification, delivered once, whatever stops or fails in between."""

import asyncio
from datetime import timedelta

import pytest

from notification_service.notifications import Notifications
from service_kit.in_memory_adapters import InMemoryStateStore
from service_kit.ports import Unavailable
from shared_models import Notification, NotificationRequest, NotificationStatus

REQUEST = NotificationRequest(type="task_completed", task_id="a", message="done", event_id="a:2")


class Stopped(BaseException):
    """The process is no more."""


class FailingStore(InMemoryStateStore):
    """Fails the save of a notification with this number, before or after it took effect."""

    fails: int | None = None
    takes_effect = True
    saves = 0

    async def save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        self.saves += key.startswith("notification-")
        fails = self.saves == self.fails and key.startswith("notification-")
        if self.takes_effect or not fails:
            await super().save(key, value, etag, ttl)
        if fails:
            raise Unavailable("no answer")


class HoldingStore(InMemoryStateStore):
    """Holds the answer to the first save of a notification while `held` is not set."""

    def __init__(self) -> None:
        super().__init__()
        self.held = asyncio.Event()
        self._holds_next = True

    async def save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        await super().save(key, value, etag, ttl)
        if key.startswith("notification-") and self._holds_next:
            self._holds_next = False
            await self.held.wait()


class Mailbox:
    def __init__(self) -> None:
        self.delivered: list[str] = []
        self.stops = False

    async def deliver(self, notification: Notification) -> None:
        if self.stops:
            raise Stopped
        self.delivered.append(notification.id)


async def test_the_same_event_is_delivered_once() -> None:
    mailbox = Mailbox()
    notifications = Notifications(InMemoryStateStore(), mailbox)
    first = await notifications.notify(REQUEST)
    again = await notifications.notify(REQUEST)
    assert (first.status, again.status) == (NotificationStatus.SENT, NotificationStatus.DUPLICATE)
    assert mailbox.delivered == [first.id]


async def test_what_a_process_had_stored_when_it_stopped_is_delivered_by_another() -> None:
    store, mailbox = InMemoryStateStore(), Mailbox()
    mailbox.stops = True
    with pytest.raises(Stopped):
        await Notifications(store, mailbox).notify(REQUEST)
    mailbox.stops = False
    other = Notifications(store, mailbox, delivery_may_take=timedelta(milliseconds=20))
    await asyncio.sleep(0.02)
    assert (await other.find(10)).items == []
    assert (await other.notify(REQUEST)).status is NotificationStatus.SENT
    assert len(mailbox.delivered) == 1
    assert len((await other.find(10)).items) == 1


async def test_what_another_process_may_be_delivering_is_not_delivered_too() -> None:
    store, mailbox = InMemoryStateStore(), Mailbox()
    mailbox.stops = True
    with pytest.raises(Stopped):
        await Notifications(store, mailbox).notify(REQUEST)
    mailbox.stops = False
    with pytest.raises(Unavailable):
        await Notifications(store, mailbox).notify(REQUEST)
    assert mailbox.delivered == []


@pytest.mark.parametrize("takes_effect", [True, False])
@pytest.mark.parametrize("fails", [1, 2])
async def test_a_save_without_an_answer_neither_loses_nor_doubles_a_notification(
    fails: int, takes_effect: bool
) -> None:
    store, mailbox = FailingStore(), Mailbox()
    store.fails, store.takes_effect = fails, takes_effect
    notifications = Notifications(store, mailbox)
    with pytest.raises(Unavailable):
        await notifications.notify(REQUEST)
    await notifications.notify(REQUEST)
    assert len(mailbox.delivered) == 1
    assert len((await notifications.find(10)).items) == 1


async def test_who_was_frozen_before_the_delivery_leaves_it_to_who_took_it_over() -> None:
    store, mailbox = HoldingStore(), Mailbox()
    may_take = timedelta(milliseconds=20)
    frozen = asyncio.create_task(Notifications(store, mailbox, may_take).notify(REQUEST))
    await asyncio.sleep(0.03)
    await Notifications(store, mailbox, may_take).notify(REQUEST)
    store.held.set()
    with pytest.raises(Unavailable):
        await frozen
    assert len(mailbox.delivered) == 1
