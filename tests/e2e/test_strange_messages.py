"""Messages that nobody means to send, on real topics: they hold up nothing, and none is lost."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from service_kit.refusals import letter_id
from shared_models import Message
from tests.contract.test_task_api_http import create
from tests.deliveries import ON
from tests.e2e.test_flow import complete, notified
from tests.eventually import eventually
from tests.strange_messages import LARGE, MESSAGES
from tests.unit.test_strange_messages import is_task_event
from tools.local_system import LocalSystem

TOPICS = st.sampled_from(sorted(ON))
SOME = st.lists(st.tuples(TOPICS, st.one_of(*[MESSAGES] * 9, LARGE)), min_size=20, max_size=40)
GRAVE = (
    b'{"specversion":"1.0","id":"p1","source":"me","type":"task.completed",'
    b'"time":"9999-12-31T23:59:59-01:00","data":{}}',
    b'{"specversion":"1.0","id":"p2","source":"me","type":"task.created","data":'
    + b"[" * 300
    + b"]" * 300
    + b"}",
    b'{"specversion":"1.0","id":"p3","source":"me","type":"task.created","traceparent":5}',
)


def send(own: LocalSystem, topic: str, payload: bytes) -> None:
    """Publish past the services and their sidecars."""
    with Redis(port=own.ports.redis) as redis:
        redis.xadd(topic, {"data": payload})


def discard_all(notifications: Client) -> None:
    while notifications.delete("/dead-letters").json()["count"]:
        pass


def nothing_is_held_up(tasks: Client, notifications: Client) -> None:
    task = create(tasks)
    complete(tasks, task["id"])
    eventually(lambda: notified(notifications, task["id"]), within=2)


def letters(notifications: Client) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    cursor = None
    while True:
        query = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
        page = notifications.get("/dead-letters", params=query).json()
        found |= {letter["id"]: letter for letter in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def letter_of(payload: bytes) -> str:
    """Return the id of the letter of what notification-service refuses of `task-events`."""
    message = Message(component="pubsub", topic="task-events", payload=payload)
    return letter_id("notification-service", message)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """A system of these tests' own, as what they leave on its topics would disturb others."""
    with LocalSystem.for_test(tmp_path_factory.mktemp("strange")) as own:
        yield own


@pytest.fixture
def api(own: LocalSystem) -> Iterator[tuple[Client, Client]]:
    """Clients of both services."""
    with (
        Client(base_url=own.url("task-api")) as tasks,
        Client(base_url=own.url("notification-service")) as notifications,
    ):
        yield tasks, notifications


@pytest.mark.parametrize("topic", sorted(ON))
def test_one_message_holds_up_no_other(
    own: LocalSystem, api: tuple[Client, Client], topic: str
) -> None:
    sidecars = [own.sidecar(app_id) for app_id in own.ports.apps]
    for payload in GRAVE:
        send(own, topic, payload)
    nothing_is_held_up(*api)
    eventually(lambda: ids_in(letters(api[1])) == {"p1", "p2", "p3"})
    nothing_is_held_up(*api)
    discard_all(api[1])
    assert all(sidecar.is_running() for sidecar in sidecars)


def ids_in(found: dict[str, dict[str, Any]]) -> set[str]:
    """Return the ids of the events in dead letters, also of those that are shown as text."""
    text = json.dumps(list(found.values()))
    return {id for id in ("p1", "p2", "p3") if f'"{id}' in text.replace("\\", "")}


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(SOME)
def test_strange_messages_hold_up_nothing_and_none_is_lost(
    own: LocalSystem, api: tuple[Client, Client], messages: list[tuple[str, bytes]]
) -> None:
    for topic, payload in messages:
        send(own, topic, payload)
    nothing_is_held_up(*api)
    refused = {
        letter_of(payload)
        for topic, payload in messages
        if topic == "task-events" and not is_task_event(payload)
    }
    eventually(lambda: refused <= letters(api[1]).keys())
    nothing_is_held_up(*api)
    discard_all(api[1])
    assert letters(api[1]) == {}
