"""What could not be handled is kept, once for each app, and finds a way back."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from notification_service.dead_letters import DeadLetters, KeptLetter
from notification_service.in_memory_adapters import InMemoryRedelivery
from notification_service.settings import Settings
from notification_service.subscribers import Subscribers
from service_kit.in_memory_adapters import InMemoryStateStore
from service_kit.ports import Unavailable
from service_kit.refusals import refusal_of
from shared_models import CloudEvent, Message, Verdict
from tests.contract.test_task_api_http import is_problem
from tests.eventually import eventually
from tests.in_memory_system import NOTIFICATIONS, TASK_API, InMemorySystem
from tests.unit.test_subscriptions import COMPLETED, DATA

DEAD = "task-events-dead"


@pytest.fixture
def system() -> Iterator[InMemorySystem]:
    with InMemorySystem() as system:
        yield system


@pytest.fixture
def impatient() -> Iterator[InMemorySystem]:
    """A system that looks all the time for what a sidecar gave up on."""
    with InMemorySystem(redelivery_pause=timedelta(milliseconds=10)) as system:
        yield system


def as_json(message: object) -> bytes:
    return json.dumps(message).encode()


def refused_by_task_api(event: object, topic: str = "task-events") -> bytes:
    """Return what task-api publishes to the dead-letter topic, before a mend made it wrong."""
    component = "changelog" if topic == "task-changes" else "pubsub"
    message = Message(component=component, topic=topic, payload=as_json(event))
    refusal = refusal_of(TASK_API, message, "too odd")
    return (
        CloudEvent(
            id=refusal.id,
            source=TASK_API,
            type="message.refused",
            data=refusal.model_dump(mode="json"),
        )
        .model_dump_json()
        .encode()
    )


def test_an_event_that_both_services_refuse_is_one_letter_of_each(system: InMemorySystem) -> None:
    system.add("task-events", as_json({**COMPLETED, "data": "text"}))
    system.deliver()
    letters = system.letters()
    assert {letter["app_id"] for letter in letters} == {TASK_API, NOTIFICATIONS}
    for letter in letters:
        assert letter["event"] == {**COMPLETED, "data": "text"}
        assert "task.completed could not be read" in letter["reason"]
        assert (letter["component"], letter["topic"]) == ("pubsub", "task-events")
        assert system.notifications.get(f"/dead-letters/{letter['id']}").json() == letter


def test_replaying_what_is_refused_again_leaves_the_letters_as_many_as_they_were(
    system: InMemorySystem,
) -> None:
    system.add("task-events", as_json({**COMPLETED, "data": "text"}))
    system.deliver()
    before = system.letters()
    for _ in range(3):
        for letter in before:
            answer = system.notifications.post(f"/dead-letters/{letter['id']}/replay")
            assert answer.json() == letter
        system.deliver()
    assert system.letters() == before


def test_a_replay_reaches_the_app_that_failed_and_the_letter_is_gone(
    system: InMemorySystem,
) -> None:
    system.add(DEAD, refused_by_task_api(COMPLETED))
    system.deliver()
    (letter,) = system.letters()
    assert (letter["app_id"], letter["reason"]) == (TASK_API, "too odd")
    assert system.notifications.post(f"/dead-letters/{letter['id']}/replay").status_code == 204
    assert system.letters() == []
    assert len(system.notified("a")) == 1
    assert system.activity() == []
    assert is_problem(system.notifications.post(f"/dead-letters/{letter['id']}/replay"), 404)


def test_an_intent_is_replayed_by_task_api_alone(system: InMemorySystem) -> None:
    task = system.tasks.post("/tasks", json={"title": "a"}).json()
    (intents,) = system._waiting.pop((TASK_API, "task-changes"))
    system.add(DEAD, refused_by_task_api(json.loads(intents), topic="task-changes"))
    system.deliver()
    (letter,) = system.letters()
    assert letter["topic"] == "task-changes"
    assert system.notifications.post(f"/dead-letters/{letter['id']}/replay").status_code == 204
    system.deliver()
    assert [event["task_id"] for event in system.activity()] == [task["id"]]
    assert system.letters() == []


def test_a_replay_that_is_refused_for_another_reason_leaves_the_letter_with_that(
    system: InMemorySystem,
) -> None:
    system.add(DEAD, refused_by_task_api({**COMPLETED, "data": {**DATA, "title": "x" * 20_000}}))
    system.deliver()
    (letter,) = system.letters()
    answer = system.notifications.post(f"/dead-letters/{letter['id']}/replay")
    assert answer.status_code == 200
    assert "message: String should have at most" in answer.json()["reason"]
    assert system.letters() == [answer.json()]


def test_a_replay_to_an_app_that_is_away_is_503_and_the_letter_stays(
    system: InMemorySystem,
) -> None:
    system.add(DEAD, refused_by_task_api(COMPLETED))
    system.deliver()
    (letter,) = system.letters()
    system.away.add(TASK_API)
    assert is_problem(system.notifications.post(f"/dead-letters/{letter['id']}/replay"), 503)
    assert system.letters() == [letter]


async def test_replays_at_once_are_one() -> None:
    class WaitingRedelivery(InMemoryRedelivery):
        async def redeliver(self, app_id: str, message: Message) -> Verdict:
            verdict = await super().redeliver(app_id, message)
            await all_have_begun.wait()
            return verdict

    all_have_begun, redelivery = asyncio.Event(), WaitingRedelivery()
    letters = DeadLetters(InMemoryStateStore(), Subscribers(Settings()), redelivery)
    message = Message(component="pubsub", topic="task-events", payload=as_json(COMPLETED))
    refusal = refusal_of(TASK_API, message, "too odd")
    await letters.keep(refusal)
    replays = [asyncio.create_task(letters.replay(refusal.id)) for _ in range(8)]
    await asyncio.sleep(0.01)
    all_have_begun.set()
    assert await asyncio.gather(*replays) == [None] * 8
    assert len(redelivery.redelivered) == 1


def test_letters_are_replayed_many_at_once_all_or_of_one_reason(system: InMemorySystem) -> None:
    good = [{**COMPLETED, "id": f"e{n}", "data": {**DATA, "task_id": f"t{n}"}} for n in range(5)]
    bad = [{**COMPLETED, "id": f"b{n}", "data": n} for n in range(3)]
    system.add(DEAD, *map(refused_by_task_api, good))
    system.add("task-events", *map(as_json, bad))
    system.deliver()
    url = "/dead-letters/replay"
    answer = system.notifications.post(url, params={"reason": "too odd", "limit": "3"}).json()
    assert (answer["count"], answer["kept"]) == (3, 0)
    query = {"reason": "too odd", "cursor": answer["next_cursor"]}
    answer = system.notifications.post(url, params=query).json()
    assert answer == {"count": 2, "kept": 0, "next_cursor": None}
    assert [len(system.notified(f"t{n}")) for n in range(5)] == [1] * 5
    assert system.notifications.post(url).json() == {"count": 0, "kept": 6, "next_cursor": None}
    assert len(system.letters()) == 6


def test_letters_are_discarded_one_or_many_at_once(system: InMemorySystem) -> None:
    system.add("task-events", *(as_json({**COMPLETED, "data": n}) for n in range(3)))
    system.add(DEAD, refused_by_task_api(COMPLETED))
    system.deliver()
    (odd,) = system.letters(reason="too odd")
    assert system.notifications.delete(f"/dead-letters/{odd['id']}").status_code == 204
    assert is_problem(system.notifications.delete(f"/dead-letters/{odd['id']}"), 404)
    first = system.notifications.delete("/dead-letters", params={"limit": "4"}).json()
    assert first["count"] == 4
    query = {"cursor": first["next_cursor"]}
    rest = system.notifications.delete("/dead-letters", params=query).json()
    assert rest == {"count": 2, "next_cursor": None}
    assert system.letters() == []


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"\xff no event", "/yBubyBldmVudA=="),
        (b"no event", "no event"),
        (b" no event\n", " no event\n"),
        (b"a\x00b", "YQBi"),
        (b"", ""),
    ],
)
def test_what_is_no_event_is_kept_as_it_is_and_can_only_be_discarded(
    system: InMemorySystem, payload: bytes, shown: str
) -> None:
    system.add("task-events", payload)
    system.deliver()
    (letter,) = system.letters()
    assert letter["event"] is None
    assert letter["payload"] == shown
    assert letter["size"] == len(payload)
    assert "not a CloudEvent" in letter["reason"]
    assert is_problem(system.notifications.post(f"/dead-letters/{letter['id']}/replay"), 409)
    assert system.notifications.delete(f"/dead-letters/{letter['id']}").status_code == 204


@pytest.mark.parametrize("data", [b"1e400", b"[" * 150 + b"-1e999" + b"]" * 150])
def test_an_event_that_json_cannot_give_back_is_shown_as_it_came(
    system: InMemorySystem, data: bytes
) -> None:
    event = as_json(COMPLETED).replace(as_json(DATA), data)
    system.add("task-events", event)
    system.deliver()
    assert "Infinity" not in system.notifications.get("/dead-letters").text
    for letter in system.letters():
        assert letter["event"] is None
        assert letter["payload"] == event.decode()


def test_an_event_that_is_too_large_to_be_stored_is_a_dead_letter(system: InMemorySystem) -> None:
    grows = as_json({**COMPLETED, "type": "task.updated", "data": {}})
    data = {**DATA, "event_type": "task.updated", "more": "@"}
    numbers = b"[" + b",".join([b"1e9"] * 400_000) + b"]"  # stored as 1000000000.0
    data_text = as_json(data).replace(b'"@"', numbers)
    system.add("task-events", grows.replace(b"{}", data_text))
    system.deliver()
    (letter,) = system.letters()
    assert letter["app_id"] == NOTIFICATIONS
    assert "TooLarge" in letter["reason"]


@pytest.mark.parametrize("app_id", ["http://127.0.0.1:9", "task-api/method/tasks#", "nobody", ""])
def test_a_replay_goes_to_no_app_but_those_of_the_topic(
    system: InMemorySystem, app_id: str
) -> None:
    marked = {**COMPLETED, "deadletterreason": "x", "deadletterappid": app_id}
    event = json.loads(refused_by_task_api(COMPLETED))
    event["data"] |= {"app_id": app_id, "id": "0" * 32}
    system.add(DEAD, as_json(marked), as_json(event))
    system.deliver()
    letters = system.letters()
    assert len(letters) == 2
    for letter in letters:
        answer = system.notifications.post(f"/dead-letters/{letter['id']}/replay")
        assert is_problem(answer, 409)
    assert system.letters() == letters


@pytest.mark.parametrize(
    "odd",
    [{"id": ""}, {"id": ".."}, {"id": "a/b"}, {"id": "x" * 250_000}, {"reason": "r" * 5_000_000}],
)
def test_a_refusal_beyond_all_bounds_is_a_letter_like_another(
    impatient: InMemorySystem, odd: dict[str, str]
) -> None:
    event = json.loads(refused_by_task_api(COMPLETED))
    event["data"] |= odd
    impatient.add(DEAD, as_json(event))
    impatient.deliver()
    (letter,) = eventually(impatient.letters)
    assert impatient.notifications.get(f"/dead-letters/{letter['id']}").json() == letter
    assert impatient.notifications.delete(f"/dead-letters/{letter['id']}").status_code == 204


def test_an_event_with_a_topic_and_no_component_finds_its_way_back(
    impatient: InMemorySystem,
) -> None:
    impatient.add(DEAD, as_json({**COMPLETED, "topic": "task-events"}))
    impatient.deliver()
    eventually(lambda: impatient.notified("a"))
    assert impatient.letters() == []


def test_an_event_with_an_id_of_any_length_fills_no_list(system: InMemorySystem) -> None:
    system.add("task-events", as_json({**COMPLETED, "type": "task.created", "id": "x" * 250_000}))
    system.deliver()
    (letter,) = system.letters()
    assert "id: String should have at most" in letter["reason"]


async def test_a_letter_whose_discard_was_cut_short_is_listed_when_it_comes_again() -> None:
    class CutShort(InMemoryStateStore):
        cut = False

        async def save(
            self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
        ) -> None:
            if self.cut:
                raise Unavailable("the process stops here")
            await super().save(key, value, etag, ttl)

        async def delete(self, key: str, etag: str) -> None:
            await super().delete(key, etag)
            self.cut = True

    store = CutShort()
    letters = DeadLetters(store, Subscribers(Settings()), InMemoryRedelivery())
    message = Message(component="pubsub", topic="task-events", payload=as_json(COMPLETED))
    refusal = refusal_of(TASK_API, message, "too odd")
    await letters.keep(refusal)
    with pytest.raises(Unavailable):
        await letters.discard(refusal.id)
    store.cut = False
    await letters.keep(refusal)
    assert [each.id for each in (await letters.find(10)).items] == [refusal.id]


def test_a_message_of_another_topic_goes_to_none_of_ours(system: InMemorySystem) -> None:
    system.add(DEAD, as_json({**COMPLETED, "pubsubname": "pubsub", "topic": "orders"}))
    system.deliver()
    (letter,) = system.letters()
    assert letter["topic"] == "orders"
    answer = system.notifications.post(f"/dead-letters/{letter['id']}/replay")
    assert is_problem(answer, 409)
    assert "orders" in answer.json()["detail"]
    assert system.activity() == []


def test_letters_of_the_version_before_are_read_and_replayed(system: InMemorySystem) -> None:
    former = {
        "id": "abc",
        "reason": "too odd",
        "app_id": TASK_API,
        "event": COMPLETED,
        "payload": None,
        "received_at": "2026-01-01T00:00:00Z",
    }
    assert KeptLetter.model_validate_json(as_json(former)).shown().event == COMPLETED
    marked = {**COMPLETED, "deadletterreason": "too odd", "deadletterappid": TASK_API}
    system.add(DEAD, as_json({**marked, "topic": DEAD, "pubsubname": "pubsub"}))
    system.deliver()
    (letter,) = system.letters()
    assert (letter["reason"], letter["app_id"]) == ("too odd", TASK_API)
    assert system.notifications.post(f"/dead-letters/{letter['id']}/replay").status_code == 204
    assert len(system.notified("a")) == 1


def test_what_a_sidecar_gave_up_on_is_handled_by_itself_when_the_service_is_back(
    impatient: InMemorySystem,
) -> None:
    impatient.away.add(TASK_API)
    published = {**COMPLETED, "pubsubname": "pubsub", "topic": "task-events"}
    impatient.add(DEAD, as_json(published), as_json({**COMPLETED, "id": "b:2"}))
    impatient.deliver()
    eventually(lambda: len(impatient.activity()) == 2)
    assert impatient.letters() == []
    assert impatient.notified("a") == []
    impatient.away.clear()
    eventually(lambda: len(impatient.notified("a")) == 2)
    assert impatient.letters() == []


def test_what_a_sidecar_gave_up_on_and_the_app_refuses_is_a_letter_of_that_app(
    impatient: InMemorySystem,
) -> None:
    impatient.add(DEAD, as_json({**COMPLETED, "data": "text"}))
    impatient.deliver()
    eventually(lambda: len(impatient.letters()) == 2)
    assert {letter["app_id"] for letter in impatient.letters()} == {TASK_API, NOTIFICATIONS}


def test_what_an_app_asks_for_again_too_often_is_a_letter_in_the_end(
    impatient: InMemorySystem,
) -> None:
    impatient.away.add("/notify")
    impatient.add(DEAD, as_json(COMPLETED))
    impatient.deliver()
    (letter,) = eventually(impatient.letters)
    assert letter["app_id"] == TASK_API
    assert "Asked for again 3 times" in letter["reason"]
