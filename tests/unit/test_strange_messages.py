"""Whatever arrives on any topic is handled or kept as a dead letter, and holds up nothing else."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_kit.messages import read_event, read_task_event
from service_kit.refusals import FIRST_BYTES, MOST_BYTES, letter_id
from shared_models import Message
from tests.eventually import eventually
from tests.in_memory_system import NOTIFICATIONS, SUBSCRIPTIONS, InMemorySystem
from tests.strange_messages import LARGE, MESSAGES

PLACES = st.sampled_from(sorted(SUBSCRIPTIONS))
SOME = st.lists(st.tuples(PLACES, MESSAGES), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def system() -> Iterator[InMemorySystem]:
    with InMemorySystem(redelivery_pause=timedelta(milliseconds=5)) as system:
        yield system


def letters(system: InMemorySystem) -> dict[str, dict[str, Any]]:
    """Return all dead letters by their ids, each of which can be read by its own."""
    found: dict[str, dict[str, Any]] = {}
    cursor = None
    while True:
        query = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        answer = system.notifications.get("/dead-letters", params=query)
        assert answer.status_code == 200
        for letter in answer.json()["items"]:
            assert letter["id"] not in found
            found[letter["id"]] = letter
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
    for id, letter in found.items():
        assert system.notifications.get(f"/dead-letters/{id}").json() == letter
    return found


def is_shown_as_it_came(letter: dict[str, Any], payload: bytes) -> bool:
    """Return whether a letter shows the bytes of its message, or the same event."""
    if letter["size"] > MOST_BYTES:
        payload = payload[:FIRST_BYTES]
    if letter["event"] is None:
        shown = letter["payload"].encode()
        return shown in (payload, base64.b64encode(payload))
    event: dict[str, Any] = json.loads(payload)
    return {**event, **letter["event"]} == event


def is_task_event(payload: bytes) -> bool:
    try:
        read_task_event(read_event(payload))
    except Exception:
        return False
    return True


def nothing_is_held_up(system: InMemorySystem, messages: list[tuple[str, bytes]]) -> None:
    for topic, payload in messages:
        system.add(topic, payload)
    task_id = system.complete_a_task()
    system.deliver()
    assert len(system.notified(task_id)) == 1
    eventually(lambda: system.undelivered() == 0)

    kept = letters(system)
    for topic, payload in messages:
        if topic == "task-events":
            message = Message(component="pubsub", topic=topic, payload=payload)
            letter = kept.get(letter_id(NOTIFICATIONS, message))
            assert (letter is None) is is_task_event(payload)
            assert letter is None or is_shown_as_it_came(letter, payload)

    replayed = system.notifications.post("/dead-letters/replay").json()
    assert replayed["count"] == 0
    assert replayed["kept"] == len(kept)
    system.deliver()
    assert letters(system).keys() == kept.keys()
    assert system.notifications.delete("/dead-letters").json()["count"] == len(kept)
    assert letters(system) == {}


@given(SOME)
def test_strange_messages_are_handled_or_kept_and_hold_up_nothing(
    system: InMemorySystem, messages: list[tuple[str, bytes]]
) -> None:
    nothing_is_held_up(system, messages)


@settings(max_examples=15)
@given(st.lists(st.tuples(PLACES, LARGE), min_size=1, max_size=3))
def test_megabytes_too(system: InMemorySystem, messages: list[tuple[str, bytes]]) -> None:
    nothing_is_held_up(system, messages)
