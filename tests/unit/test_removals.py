"""A change that was frozen while its task was deleted and removed does not bring the task back.

The store of these tests does what Redis does through Dapr: a save that names an ETag succeeds where
the key is gone.
"""

import asyncio
from datetime import timedelta

import pytest

from service_kit.in_memory_adapters import InMemoryPublisher, InMemoryStateStore
from service_kit.ports import Unavailable
from shared_models import CHANGES_INTENDED, CloudEvent, Task, TaskCreate, TaskStatus
from task_api import announcements, removals
from task_api.announcements import Intent, Intents
from task_api.settings import Settings
from task_api.tasks import TaskNotFound, Tasks


class ForgetfulStore(InMemoryStateStore):
    """Holds the next save of a task's change while `held` is not set; may then have it fail."""

    def __init__(self) -> None:
        super().__init__()
        self.holds_next = False
        self.held = asyncio.Event()
        self.answers = True

    async def save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        if key.startswith("task-") and self.holds_next:
            self.holds_next = False
            if not self.answers:
                self.late = asyncio.create_task(self._save_late(key, value, etag))
                raise Unavailable("no answer")
            await self.held.wait()
        await self._forgetful_save(key, value, etag, ttl)

    async def _save_late(self, key: str, value: bytes, etag: str | None) -> None:
        await self.held.wait()
        await self._forgetful_save(key, value, etag, None)

    async def _forgetful_save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None
    ) -> None:
        await super().save(key, value, etag if key in self.values else None, ttl)


class World:
    def __init__(self) -> None:
        self.store = ForgetfulStore()
        self.broker = InMemoryPublisher()
        self._handled = 0

    def start(self) -> Tasks:
        settings = Settings(intent_grace=timedelta(milliseconds=50))
        return Tasks(self.store, self.broker, self.broker, settings)

    async def deliver(self, replica: Tasks) -> None:
        intents = self.broker.of("task-changes")
        for event in intents[self._handled :]:
            await replica.announcements.handle(event)
        self._handled = len(intents)

    def announced(self) -> list[str]:
        return [event.type for event in self.broker.of("task-events")]

    def holds(self, task_id: str) -> bool:
        return f"task-{task_id}" in self.store.values

    async def removed(self, task_id: str) -> None:
        async with asyncio.timeout(5):
            while self.holds(task_id):  # noqa: ASYNC110, a dict has nothing to wait for
                await asyncio.sleep(0.01)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(removals, "REMOVED_AFTER", timedelta(milliseconds=60))
    monkeypatch.setattr(removals, "QUICK", timedelta(milliseconds=50))
    monkeypatch.setattr(removals, "LOOKS_AFTER", (timedelta(milliseconds=100),) * 20)
    return World()


async def brought_back(world: World, replica: Tasks) -> Task:
    """Return a task that `replica` removed, and that a save brought back whose writer gave up."""
    writer = world.start()
    task = await writer.create(TaskCreate(title="a"))
    world.store.holds_next, world.store.answers = True, False
    with pytest.raises(Unavailable):
        await writer.set_status(task.id, TaskStatus.IN_PROGRESS)
    await replica.delete(task.id)
    await world.deliver(replica)
    await world.removed(task.id)
    world.store.held.set()
    await world.store.late
    return task


async def test_a_frozen_change_of_a_removed_task_is_not_acknowledged(world: World) -> None:
    one, two = world.start(), world.start()
    task = await one.create(TaskCreate(title="a"))
    world.store.holds_next = True
    changing = asyncio.create_task(one.set_status(task.id, TaskStatus.COMPLETED))
    await asyncio.sleep(0.01)
    await two.delete(task.id)
    await world.deliver(two)
    await world.removed(task.id)
    world.store.held.set()
    with pytest.raises(TaskNotFound):
        await changing
    await world.deliver(world.start())
    assert not world.holds(task.id)
    assert world.announced() == ["task.created", "task.deleted"]


async def test_a_change_that_arrives_after_its_writer_gave_up_is_undone(world: World) -> None:
    task = await brought_back(world, world.start())
    assert world.holds(task.id)
    await world.removed(task.id)
    assert world.announced() == ["task.created", "task.deleted"]


async def test_a_task_that_a_late_save_brought_back_cannot_be_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removals, "LOOKS_AFTER", ())
    replica = world.start()
    task = await brought_back(world, replica)
    with pytest.raises(TaskNotFound):
        await replica.set_status(task.id, TaskStatus.COMPLETED)
    await world.deliver(world.start())
    assert world.announced() == ["task.created", "task.deleted"]


async def test_a_change_that_arrived_late_is_not_announced_by_another_process(
    world: World,
) -> None:
    one, two = world.start(), world.start()
    task = await one.create(TaskCreate(title="a"))
    await world.deliver(one)
    world.store.holds_next, world.store.answers = True, False
    with pytest.raises(Unavailable):
        await one.set_status(task.id, TaskStatus.COMPLETED)
    intent = world.broker.of("task-changes")[-1]
    await two.delete(task.id)
    await two.announcements.handle(world.broker.of("task-changes")[-1])
    await world.removed(task.id)
    world.store.held.set()
    await world.store.late
    await world.start().announcements.handle(intent)
    assert not world.holds(task.id)
    assert "task.completed" not in world.announced()


async def test_a_deletion_whose_answer_is_late_is_acknowledged(world: World) -> None:
    one, two = world.start(), world.start()
    task = await one.create(TaskCreate(title="a"))
    save = world.store.save

    async def answered_late(
        key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        await save(key, value, etag, ttl)
        if key.startswith("task-") and ttl is None:
            await world.store.held.wait()

    world.store.save = answered_late  # type: ignore[method-assign]
    deleting = asyncio.create_task(one.delete(task.id))
    await asyncio.sleep(0.01)
    await world.deliver(two)
    await world.removed(task.id)
    world.store.held.set()
    await deleting


async def test_a_deletion_that_is_announced_twice_removes_its_key_no_earlier(world: World) -> None:
    tasks = world.start()
    task = await tasks.create(TaskCreate(title="a"))
    await tasks.delete(task.id)
    await world.deliver(tasks)
    await world.start().announcements.handle(world.broker.of("task-changes")[-1])
    assert world.holds(task.id)
    await world.removed(task.id)
    assert set(world.announced()) == {"task.created", "task.deleted"}


async def test_a_bar_by_a_frozen_process_does_not_bring_a_removed_task_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removals, "LOOKS_AFTER", ())
    monkeypatch.setattr(announcements, "PATIENCE", timedelta(0))
    one, two = world.start(), world.start()
    task = await one.create(TaskCreate(title="a"))
    await world.deliver(one)
    document = world.store.values[f"task-{task.id}"]
    intent = Intent(task_id=task.id, change_id="never saved", replaces=document.etag)
    await asyncio.sleep(0.06)  # the grace of the intent
    world.store.holds_next = True
    barring = asyncio.create_task(two.announcements.handle(_message_of(intent)))
    await asyncio.sleep(0.01)
    await one.delete(task.id)
    await world.deliver(one)
    await world.removed(task.id)
    world.store.held.set()
    await barring
    assert not world.holds(task.id)


def _message_of(intent: Intent) -> CloudEvent:
    return CloudEvent(
        id="message",
        source="task-api",
        type=CHANGES_INTENDED,
        time=intent.said_at,
        data=Intents(intents=[intent]).model_dump(mode="json"),
    )
