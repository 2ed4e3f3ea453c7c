"""The guarantee, step by step: what a process that stops anywhere leaves behind is settled."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from pydantic import ValidationError

from service_kit.in_memory_adapters import InMemoryPublisher, InMemoryStateStore
from service_kit.ports import Conflict, Stored, Unavailable
from shared_models import CHANGES_INTENDED, CloudEvent, TaskCreate, TaskStatus
from task_api.settings import Settings
from task_api.tasks import TaskNotFound, Tasks

SETTINGS = Settings(
    intent_grace=timedelta(milliseconds=50), request_deadline=timedelta(milliseconds=500)
)


class Stopped(BaseException):
    """The process is no more."""


class FragileStore(InMemoryStateStore):
    """Stops the process before or after the next save of a task, when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.stop: str | None = None
        self.failure: Exception | None = None

    async def save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        about_task = key.startswith("task-")
        if about_task and self.stop == "before":
            raise Stopped
        await super().save(key, value, etag, ttl)
        if about_task and self.stop == "after":
            raise Stopped
        if about_task and self.failure:
            failure, self.failure = self.failure, None
            raise failure


class Replicas:
    """Replicas of task-api on one store and broker; an intent goes to the one that is asked."""

    def __init__(self) -> None:
        self.store = FragileStore()
        self.publisher = InMemoryPublisher()
        self._handled = 0

    def start(self) -> Tasks:
        return Tasks(self.store, self.publisher, self.publisher, SETTINGS)

    async def deliver(self, replica: Tasks) -> None:
        """Deliver to `replica` the intents that were not delivered yet."""
        intents = self.publisher.of("task-changes")
        for event in intents[self._handled :]:
            await replica.announcements.handle(event)
        self._handled = len(intents)

    def announced(self) -> list[str]:
        return [f"{event.type} {event.id[-1]}" for event in self.publisher.of("task-events")]


@pytest.fixture
def replicas() -> Replicas:
    return Replicas()


async def test_a_change_is_announced_by_the_replica_that_made_it(replicas: Replicas) -> None:
    tasks = replicas.start()
    await tasks.create(TaskCreate(title="a"))
    await replicas.deliver(tasks)
    assert replicas.announced() == ["task.created 1"]


async def test_a_completion_that_is_announced_late_leaves_a_reopened_task_on_the_list(
    replicas: Replicas,
) -> None:
    tasks = replicas.start()
    older, newer = [await tasks.create(TaskCreate(title=title)) for title in "ab"]
    await replicas.deliver(tasks)
    for status in (TaskStatus.COMPLETED, TaskStatus.PENDING):
        await tasks.set_status(older.id, status)
    # Another process knows nothing of what this one saved, and may hear of it again and again.
    for event in replicas.publisher.of("task-changes") * 2:
        await replicas.start().announcements.handle(event)
    page = await tasks.find(10, None, status=TaskStatus.PENDING)
    assert [task.id for task in page.items] == [newer.id, older.id]


async def test_a_change_of_a_process_that_stopped_after_the_save_is_announced_by_another(
    replicas: Replicas,
) -> None:
    replicas.store.stop = "after"
    with pytest.raises(Stopped):
        await replicas.start().create(TaskCreate(title="a"))
    replicas.store.stop = None
    await replicas.deliver(replicas.start())
    assert replicas.announced() == ["task.created 1"]


async def test_a_change_of_a_process_that_stopped_before_the_save_is_not_announced(
    replicas: Replicas,
) -> None:
    replicas.store.stop = "before"
    with pytest.raises(Stopped):
        await replicas.start().create(TaskCreate(title="a"))
    replicas.store.stop = None
    await replicas.deliver(replicas.start())
    assert replicas.announced() == []


async def test_a_creation_that_was_frozen_until_its_intent_was_settled_cannot_be_saved(
    replicas: Replicas,
) -> None:
    writer, other = replicas.start(), replicas.start()
    unfrozen = _freeze_next_task_save(replicas.store)
    writing = asyncio.create_task(writer.create(TaskCreate(title="a")))
    await asyncio.sleep(0.01)
    await replicas.deliver(other)
    unfrozen.set()
    task = await writing  # under a new id: the first one is barred
    await replicas.deliver(other)
    assert [event.subject for event in replicas.publisher.of("task-events")] == [task.id]


async def test_an_update_that_was_frozen_until_its_intent_was_settled_is_made_anew(
    replicas: Replicas,
) -> None:
    writer, other = replicas.start(), replicas.start()
    task = await writer.create(TaskCreate(title="a"))
    unfrozen = _freeze_next_task_save(replicas.store)
    writing = asyncio.create_task(writer.set_status(task.id, TaskStatus.COMPLETED))
    await asyncio.sleep(0.01)
    await replicas.deliver(other)
    unfrozen.set()
    assert (await writing).version == 2
    await replicas.deliver(other)
    assert replicas.announced() == ["task.created 1", "task.completed 2"]


async def test_the_loser_of_a_race_is_not_announced_under_the_winners_version(
    replicas: Replicas,
) -> None:
    one, two = replicas.start(), replicas.start()
    task = await one.create(TaskCreate(title="a"))
    await asyncio.gather(
        one.set_status(task.id, TaskStatus.COMPLETED),
        two.set_status(task.id, TaskStatus.IN_PROGRESS),
    )
    await replicas.deliver(replicas.start())
    events = replicas.publisher.of("task-events")
    history = await one.history(task.id)
    assert {event.id: event.type for event in events} == {e.id: e.event_type for e in history}
    assert len(events) == 3


async def test_an_intent_that_is_delivered_twice_announces_the_same_event(
    replicas: Replicas,
) -> None:
    tasks = replicas.start()
    await tasks.create(TaskCreate(title="a"))
    await replicas.deliver(tasks)
    for intent in replicas.publisher.of("task-changes"):
        await replicas.start().announcements.handle(intent)
    first, second = replicas.publisher.of("task-events")
    assert first == second


async def test_a_save_that_reports_a_conflict_with_itself_counts_as_saved(
    replicas: Replicas,
) -> None:
    tasks = replicas.start()
    replicas.store.failure = Conflict("the retry of a save that had arrived")
    task = await tasks.create(TaskCreate(title="a"))
    await replicas.deliver(tasks)
    assert task.version == 1
    assert replicas.announced() == ["task.created 1"]


async def test_a_save_without_an_answer_is_announced_if_it_took_effect(
    replicas: Replicas,
) -> None:
    tasks = replicas.start()
    replicas.store.failure = Unavailable("no answer")
    with pytest.raises(Unavailable):
        await tasks.create(TaskCreate(title="a"))
    await replicas.deliver(tasks)
    assert replicas.announced() == ["task.created 1"]


async def test_a_deletion_is_announced_and_leaves_no_key(replicas: Replicas) -> None:
    tasks = replicas.start()
    task = await tasks.create(TaskCreate(title="a"))
    await tasks.delete(task.id)
    with pytest.raises(TaskNotFound):
        await tasks.get(task.id)
    await replicas.deliver(tasks)
    assert replicas.announced() == ["task.created 1", "task.deleted 2"]
    await eventually_gone(replicas.store, task.id)


async def test_a_deletion_overtaking_the_intents_before_it_announces_their_changes(
    replicas: Replicas,
) -> None:
    tasks = replicas.start()
    task = await tasks.create(TaskCreate(title="a"))
    await tasks.set_status(task.id, TaskStatus.COMPLETED)
    await tasks.delete(task.id)
    late = replicas.start()
    for intent in reversed(replicas.publisher.of("task-changes")):
        await late.announcements.handle(intent)
    assert sorted(set(replicas.announced())) == [
        "task.completed 2",
        "task.created 1",
        "task.deleted 3",
    ]


async def test_a_change_that_makes_room_in_the_history_is_announced_before_it_goes(
    replicas: Replicas,
) -> None:
    tasks = replicas.start()
    task = await tasks.create(TaskCreate(title="0"))
    for number in range(1, 40):
        await tasks.edit(task.id, lambda _, n=number: TaskCreate(title=str(n)))  # type: ignore[misc]
    await replicas.deliver(replicas.start())
    ids = {event.id for event in replicas.publisher.of("task-events")}
    assert ids == {f"{task.id}:{version}" for version in range(1, 41)}
    assert len(await tasks.history(task.id)) == 16


async def test_a_change_that_is_known_to_be_announced_is_not_announced_again_when_it_goes(
    replicas: Replicas,
) -> None:
    before_restart = replicas.start()
    task = await before_restart.create(TaskCreate(title="0"))
    await replicas.deliver(before_restart)
    await before_restart.edit(task.id, lambda _: TaskCreate(title="1"))
    await replicas.deliver(before_restart)
    after_restart = replicas.start()
    for number in range(2, 40):
        await after_restart.edit(task.id, lambda _, n=number: TaskCreate(title=str(n)))  # type: ignore[misc]
        await replicas.deliver(after_restart)
    announced = Counter(event.id for event in replicas.publisher.of("task-events"))
    # Nobody has changed the task between the announcement of version 2 and the restart.
    assert [id for id, times in announced.items() if times > 1] == [f"{task.id}:2"]


async def test_an_outage_of_the_broker_during_an_announcement_is_raised_to_be_retried(
    replicas: Replicas,
) -> None:
    class Away(InMemoryPublisher):
        async def publish(self, topic: str, event: CloudEvent) -> None:
            raise Unavailable("no broker")

    tasks = replicas.start()
    await tasks.create(TaskCreate(title="a"))
    without_broker = Tasks(replicas.store, Away(), Away(), SETTINGS)
    with pytest.raises(Unavailable):
        await without_broker.announcements.handle(replicas.publisher.of("task-changes")[0])


async def test_a_document_that_cannot_be_read_does_not_hold_up_other_announcements(
    replicas: Replicas,
) -> None:
    tasks = replicas.start()
    odd = await tasks.create(TaskCreate(title="odd"))
    await tasks.create(TaskCreate(title="fine"))
    await replicas.store.save(
        f"task-{odd.id}", b"no document", replicas.store.values[f"task-{odd.id}"].etag
    )
    both = [intent.data["intents"][0] for intent in replicas.publisher.of("task-changes")]
    message = replicas.publisher.of("task-changes")[0].model_copy(
        update={"data": {"intents": both}}
    )
    with pytest.raises(ValueError, match="TaskDocument"):
        await replicas.start().announcements.handle(message)
    assert replicas.announced() == ["task.created 1"]


async def test_without_a_broker_nothing_is_saved(replicas: Replicas) -> None:
    class Away(InMemoryPublisher):
        async def publish(self, topic: str, event: CloudEvent) -> None:
            raise Unavailable("no broker")

    with pytest.raises(Unavailable):
        await Tasks(replicas.store, Away(), Away(), SETTINGS).create(TaskCreate(title="a"))
    assert not [key for key in replicas.store.values if key.startswith("task-")]


async def test_an_idempotency_key_whose_first_attempt_stopped_makes_one_task(
    replicas: Replicas,
) -> None:
    replicas.store.stop = "before"
    with pytest.raises(Stopped):
        await replicas.start().create(TaskCreate(title="a"), "key")
    replicas.store.stop = None
    patient = Settings(request_deadline=timedelta(seconds=10))
    tasks = Tasks(replicas.store, replicas.publisher, replicas.publisher, patient)
    task = await tasks.create(TaskCreate(title="a"), "key")
    assert (await tasks.create(TaskCreate(title="a"), "key")).id == task.id
    assert [each.id for each in (await tasks.find(10, None)).items] == [task.id]


async def test_an_intent_that_is_still_open_is_said_again_beside_one_that_is_broken(
    replicas: Replicas,
) -> None:
    tasks = Tasks(replicas.store, replicas.publisher, replicas.publisher, Settings())
    replicas.store.values["task-broken"] = Stored(b"{", "1")
    broken, open_ = (
        {"task_id": id, "change_id": "c", "replaces": replaces}
        for id, replaces in (("broken", "1"), ("not there yet", None))
    )
    message = CloudEvent(
        id="m", source="task-api", type=CHANGES_INTENDED, data={"intents": [broken, open_]}
    )
    with pytest.raises(ValidationError):
        await tasks.announcements.handle(message)
    (again,) = replicas.publisher.of("task-changes")
    assert [each["task_id"] for each in again.data["intents"]] == ["not there yet"]


async def test_a_list_is_in_order_of_creation_also_where_a_key_is_claimed_slowly() -> None:
    class SlowForKeys(InMemoryStateStore):
        async def save(
            self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
        ) -> None:
            if key.startswith("idempotency-"):
                await asyncio.sleep(0.02)
            await super().save(key, value, etag, ttl)

    publisher = InMemoryPublisher()
    tasks = Tasks(SlowForKeys(), publisher, publisher, Settings())
    keys = ["slow", None, "slower", None]
    await asyncio.gather(*(tasks.create(TaskCreate(title="a"), key) for key in keys))
    listed = (await tasks.find(10, None)).items
    assert [task.created_at for task in listed] == sorted(
        (task.created_at for task in listed), reverse=True
    )


async def eventually_gone(store: InMemoryStateStore, task_id: str) -> None:
    async with asyncio.timeout(2):
        while f"task-{task_id}" in store.values:  # noqa: ASYNC110, a dict has nothing to wait for
            await asyncio.sleep(0.01)


def _freeze_next_task_save(store: FragileStore) -> asyncio.Event:
    """Hold the next save of a task until the returned event is set."""
    unfrozen, save, waiting = asyncio.Event(), store.save, True

    async def frozen(
        key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        nonlocal waiting
        if key.startswith("task-") and waiting:
            waiting = False
            await unfrozen.wait()
        await save(key, value, etag, ttl)

    store.save = frozen  # type: ignore[method-assign]
    return unfrozen
