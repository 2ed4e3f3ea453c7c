"""The simulated processes: real use cases on ports whose every call is a step of the world."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from notification_service.notifications import Notifications
from service_kit.messages import read_task_event
from service_kit.ports import Stored
from shared_models import (
    CHANGES_INTENDED,
    CloudEvent,
    Notification,
    NotificationReceipt,
    NotificationRequest,
)
from task_api.notifier import completed
from task_api.settings import Settings
from task_api.tasks import Tasks
from tests.simulation.calls import Call, Invocation
from tests.simulation.virtual_loop import ProcessLoop

if TYPE_CHECKING:
    from tests.simulation.simulated_world import World

# As in production, a save is barred after a call would have been given up and before a request
# is; all are short, because every look in between is a step of the simulation.
SETTINGS = Settings(
    intent_grace=timedelta(milliseconds=12), request_deadline=timedelta(milliseconds=30)
)
DELIVERY_MAY_TAKE = timedelta(milliseconds=150)
"""More than the late steps of one delivery take together."""
LONGEST_TTL = timedelta(seconds=1)
"""No world lasts as long; what is kept for longer is kept for good."""
Done = Callable[[asyncio.Task[Any]], None]


class Process:
    """What a kill stops, and a pause of the machine freezes."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.number = world.number(type(self).__name__)
        self.loop = ProcessLoop.new(world.time)
        self.waits_for_ever = False
        self._at_stop: dict[asyncio.Task[Any], Callable[[], None]] = {}

    def start(
        self, work: Coroutine[Any, Any, Any], done: Done, stopped: Callable[[], None]
    ) -> None:
        """Run `work` and then call `done`, or `stopped` where the process is stopped before."""
        task = self.loop.create_task(work)
        self._at_stop[task] = stopped
        task.add_done_callback(self._at_stop.pop)
        task.add_done_callback(done)
        self.loop.run_ready()

    def call(
        self, effect: Callable[[], Any], *what: object, writes: bool = False
    ) -> asyncio.Future[Any]:
        """Send a call on its way.

        Args:
            what: names it in the story of the world.
        """
        future = self.loop.create_future()
        if not self.loop.stopped:
            self.world.pending.append(Call(self, future, effect, what, writes=writes))
        return future

    def stop(self) -> None:
        self.loop.stop()
        for stopped in self._at_stop.values():
            stopped()


class TaskApi(Process):
    def __init__(self, world: "World") -> None:
        super().__init__(world)
        broker = PublisherPort(self)
        self.tasks = Tasks(StorePort(self), broker, broker, SETTINGS)

    async def handle(self, event: CloudEvent) -> None:
        """Do what the subscriptions of task-api do."""
        if event.type == CHANGES_INTENDED:
            await self.tasks.announcements.handle(event)
        else:
            await self._notify(completed(event.id, read_task_event(event)))

    def is_looking(self) -> bool:
        """Return whether it is to look for what comes back of removed tasks."""
        return bool(self.tasks.announcements._removals._removing)

    def _notify(self, request: NotificationRequest) -> asyncio.Future[Any]:
        future = self.loop.create_future()
        self.world.pending.append(Invocation(self, future, request))
        return future


class NotificationService(Process):
    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._notifications = Notifications(StorePort(self), DeliveryPort(self))

    async def notify(self, request: NotificationRequest) -> NotificationReceipt:
        return await self._notifications.notify(request)


class StorePort:
    """The state store, as one process sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._state = process.world.state

    async def get(self, key: str) -> Stored | None:
        stored: Stored | None = await self._process.call(lambda: self._state.get(key), "get", key)
        return stored

    async def get_many(self, keys: Sequence[str]) -> list[Stored | None]:
        stored: list[Stored | None] = await self._process.call(
            lambda: self._state.get_many(keys), "get", *keys
        )
        return stored

    async def save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        def take() -> None:
            expires = ttl is not None and ttl < LONGEST_TTL
            lasts = ttl.total_seconds() if ttl and expires else math.inf
            self._state.save(key, value, etag, self._process.world.time.now + lasts)

        await self._process.call(take, "save", key, etag, writes=True)

    async def delete(self, key: str, etag: str) -> None:
        await self._process.call(
            lambda: self._state.delete(key, etag), "delete", key, etag, writes=True
        )


class PublisherPort:
    """The broker, as one process sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def publish(self, topic: str, event: CloudEvent) -> None:
        world = self._process.world
        await self._process.call(
            lambda: world.take_message(event), "publish", event.type, event.id, writes=True
        )


class DeliveryPort:
    """The way to people, who note what they get.

    It never fails after a notification went out: against that, no caller could do anything.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.may_take = DELIVERY_MAY_TAKE

    async def deliver(self, notification: Notification) -> None:
        ledger = self._process.world.ledger
        ledger.begin_delivery(notification, self._process.number)
        await self._process.call(lambda: ledger.deliver(notification), "deliver", notification.id)
