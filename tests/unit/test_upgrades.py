"""While services are upgraded, old replicas work beside new ones, on the same documents."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.in_memory_adapters import InMemoryPublisher, InMemoryStateStore
from service_kit.ports import Stored
from shared_models import TaskCreate, TaskStatus
from task_api.idempotency import KeyReused, fingerprint
from task_api.settings import Settings
from task_api.tasks import Tasks


class World:
    def __init__(self) -> None:
        self.store = InMemoryStateStore()
        self.broker = InMemoryPublisher()

    def replica(self) -> Tasks:
        return Tasks(self.store, self.broker, self.broker, Settings())

    def read(self, task_id: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.store.values[f"task-{task_id}"].value)
        return document

    def write(self, task_id: str, document: dict[str, Any]) -> None:
        etag = self.store.values[f"task-{task_id}"].etag
        self.store.values[f"task-{task_id}"] = Stored(json.dumps(document).encode(), etag)


def written_by_a_newer_replica(document: dict[str, Any]) -> dict[str, Any]:
    change = document["history"][-1]
    change["event"]["from_the_future"] = change["from_the_future"] = 1
    document["task"]["from_the_future"] = document["from_the_future"] = 1
    return document


async def test_a_change_keeps_the_fields_that_only_a_newer_replica_knows() -> None:
    world = World()
    task = await world.replica().create(TaskCreate(title="a"))
    world.write(task.id, written_by_a_newer_replica(world.read(task.id)))
    await world.replica().set_status(task.id, TaskStatus.COMPLETED)
    document = world.read(task.id)
    assert document["task"]["status"] == "completed"
    first = document["history"][0]
    assert (
        document["from_the_future"]
        == document["task"]["from_the_future"]
        == first["from_the_future"]
        == first["event"]["from_the_future"]
        == 1
    )


async def test_a_change_of_a_newer_replica_is_announced_as_stored() -> None:
    world = World()
    task = await world.replica().create(TaskCreate(title="a"))
    world.write(task.id, written_by_a_newer_replica(world.read(task.id)))
    for intent in world.broker.of("task-changes"):
        await world.replica().announcements.handle(intent)
    (event,) = world.broker.of("task-events")
    assert event.data["from_the_future"] == 1


async def test_a_name_that_was_stored_in_another_form_is_found() -> None:
    world = World()
    task = await world.replica().create(TaskCreate(title="a", assignee="Zoë"))
    document = world.read(task.id)
    document["task"]["assignee"] = unicodedata.normalize("NFD", "Zoë")
    world.write(task.id, document)
    page = await world.replica().find(10, None, assignee="Zoë")
    assert [each.id for each in page.items] == [task.id]


class TaskCreateOfLater(TaskCreate):
    """As a release may have it that knows one more field."""

    colour: str | None = None


@given(st.builds(TaskCreate, title=st.sampled_from("ab"), priority=st.integers(1, 5)))
def test_a_body_keeps_its_fingerprint_when_a_field_is_added(body: TaskCreate) -> None:
    later = TaskCreateOfLater(**dict(body))
    assert fingerprint(later) == fingerprint(body)
    assert fingerprint(later.model_copy(update={"colour": "red"})) != fingerprint(body)


def test_bodies_that_ask_for_the_same_have_one_fingerprint() -> None:
    bodies = [
        {"title": "a", "due_at": "2027-01-01T00:00:00Z"},
        {"due_at": "2027-01-01T01:00:00.0+01:00", "title": "a"},
        {"title": "a", "priority": 1, "description": None, "due_at": "2027-01-01t00:00:00z"},
    ]
    assert len({fingerprint(TaskCreate.model_validate(body)) for body in bodies}) == 1


async def test_a_key_that_the_first_release_recorded_stands_for_its_task() -> None:
    world = World()
    wanted = {"title": "é", "priority": 2, "assignee": "ann", "due_at": "2027-01-01T00:00:00Z"}
    task = await world.replica().create(TaskCreate.model_validate(wanted), "key")
    (record_key,) = (key for key in world.store.values if key.startswith("idempotency-"))
    assert record_key == "idempotency-2c70e12b7a0646f92279f427c7b38e73"
    recorded = {"task_id": task.id, "body": "93d83b967a51a520c8b5fdbe3d6f3e5f"}
    world.store.values[record_key] = Stored(json.dumps(recorded).encode(), "1")
    again = await world.replica().create(TaskCreate.model_validate(wanted), "key")
    assert again.id == task.id
    with pytest.raises(KeyReused):
        await world.replica().create(TaskCreate.model_validate({**wanted, "priority": 3}), "key")


async def test_a_document_of_before_is_read() -> None:
    """Fields that documents did not have in the beginning have defaults."""
    world = World()
    task = await world.replica().create(TaskCreate(title="a"))
    document = world.read(task.id)
    del document["schema_version"], document["idempotency_record"], document["deleted"]
    world.write(task.id, document)
    assert (await world.replica().set_status(task.id, TaskStatus.COMPLETED)).version == 2
