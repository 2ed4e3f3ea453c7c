"""What becomes of a message that the sidecar delivers, and what the sidecar is answered."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

import notification_service.in_memory_adapters
import notification_service.main
from service_kit.in_memory_adapters import InMemoryPublisher
from service_kit.ports import Unavailable
from shared_models import CloudEvent, NotificationReceipt, NotificationRequest, Refusal
from task_api.in_memory_adapters import InMemoryNotifier, in_memory_adapters
from task_api.main import create_app
from tests.deliveries import bulk, statuses

FROM_SIDECAR = {"dapr-api-token": "token", "pubsubname": "pubsub"}
DATA = {
    "event_type": "task.completed",
    "task_id": "a",
    "title": "Learn Dapr",
    "status": "completed",
    "timestamp": "2026-01-01T00:00:00Z",
    "version": 2,
}
COMPLETED = {
    "specversion": "1.0",
    "id": "a:2",
    "source": "task-api",
    "type": "task.completed",
    "subject": "a",
    "data": DATA,
}


class AbsentNotifier:
    async def notify(self, request: NotificationRequest) -> NotificationReceipt:
        raise Unavailable("notification-service is away")


class BrokenNotifier:
    async def notify(self, request: NotificationRequest) -> NotificationReceipt:
        raise RuntimeError("a bug")


class AwayPublisher(InMemoryPublisher):
    async def publish(self, topic: str, event: CloudEvent) -> None:
        raise Unavailable("no broker")


@contextmanager
def task_api(**adapters: object) -> Iterator[TestClient]:
    chosen = in_memory_adapters()._replace(**adapters)  # type: ignore[arg-type]
    with TestClient(create_app(adapters=chosen)) as client:
        yield client


def deliver(client: TestClient, *messages: object, topic: str = "task-events") -> list[str]:
    """Deliver messages together and return the status of each."""
    return statuses(_post(client, topic, bulk(topic, *messages)))


def refusals(publisher: InMemoryPublisher) -> list[Refusal]:
    """Return what was published to the dead-letter topic."""
    return [
        Refusal.model_validate_json(json.dumps(event.data))
        for event in publisher.of("task-events-dead")
    ]


def _post(client: TestClient, topic: str, frame: Any) -> Response:
    body = json.dumps(frame).encode()
    return client.post(f"/events/{topic}", content=body, headers=FROM_SIDECAR)


def test_a_completed_task_is_notified_with_the_id_of_its_event() -> None:
    notifier = InMemoryNotifier()
    with task_api(notifier=notifier) as client:
        assert deliver(client, COMPLETED) == ["SUCCESS"]
    assert [request.event_id for request in notifier.requests] == ["a:2"]


def test_an_event_of_schema_0_is_understood() -> None:
    notifier = InMemoryNotifier()
    data = {name: value for name, value in DATA.items() if name != "version"}
    with task_api(notifier=notifier) as client:
        assert deliver(client, {**COMPLETED, "data": data}) == ["SUCCESS"]
    assert len(notifier.requests) == 1


def test_unknown_fields_of_an_event_are_ignored() -> None:
    notifier = InMemoryNotifier()
    with task_api(notifier=notifier) as client:
        event = {**COMPLETED, "later": 1, "data": {**DATA, "later": 1}}
        assert deliver(client, event) == ["SUCCESS"]
    assert len(notifier.requests) == 1


def test_a_message_of_no_type_that_a_service_takes_is_none_of_its_business() -> None:
    publisher = InMemoryPublisher()
    with task_api(publisher=publisher) as client:
        types: list[object] = ["task.created", [], {}, None, 1]
        others = [{**COMPLETED, "type": each} for each in types]
        assert deliver(client, *others, b"", b"no JSON", b"\xff", "text") == ["SUCCESS"] * 9
    assert publisher.published == []


def test_an_absent_service_is_worth_a_retry() -> None:
    publisher = InMemoryPublisher()
    with task_api(notifier=AbsentNotifier(), publisher=publisher) as client:
        assert deliver(client, COMPLETED) == ["RETRY"]
    assert publisher.published == []


@pytest.mark.parametrize(
    ("event", "notifier", "reason"),
    [
        (COMPLETED, BrokenNotifier(), "RuntimeError: a bug"),
        (
            {**COMPLETED, "data": {"task_id": "a"}},
            InMemoryNotifier(),
            "task.completed could not be read: event_type: Field required",
        ),
        ({**COMPLETED, "data": "text"}, InMemoryNotifier(), "task.completed could not be read"),
        ({**COMPLETED, "id": ""}, InMemoryNotifier(), "It is not a CloudEvent: id"),
        (
            {**COMPLETED, "data": {**DATA, "event_type": "task.created"}},
            InMemoryNotifier(),
            "its data say that it is task.created",
        ),
    ],
)
def test_what_no_retry_can_help_is_dead_lettered_with_the_reason(
    event: object, notifier: object, reason: str
) -> None:
    publisher = InMemoryPublisher()
    with task_api(notifier=notifier, publisher=publisher) as client:
        assert deliver(client, event) == ["SUCCESS"]
    (refusal,) = refusals(publisher)
    assert reason in refusal.reason
    assert refusal.app_id == "task-api"
    assert (refusal.message.component, refusal.message.topic) == ("pubsub", "task-events")
    assert json.loads(refusal.message.payload) == event


def test_a_reason_does_not_repeat_what_was_refused() -> None:
    publisher = InMemoryPublisher()
    with task_api(publisher=publisher) as client:
        deliver(client, {**COMPLETED, "data": {**DATA, "priority": "a secret"}})
    (refusal,) = refusals(publisher)
    assert "priority" in refusal.reason
    assert "a secret" not in refusal.reason


def test_without_a_broker_for_the_dead_letter_the_event_is_retried() -> None:
    with task_api(notifier=BrokenNotifier(), publisher=AwayPublisher()) as client:
        assert deliver(client, COMPLETED) == ["RETRY"]


def test_each_message_of_a_bulk_has_a_fate_of_its_own() -> None:
    class AbsentForOne(InMemoryNotifier):
        async def notify(self, request: NotificationRequest) -> NotificationReceipt:
            if request.event_id == "b:2":
                raise Unavailable("notification-service is away")
            return await super().notify(request)

    notifier, publisher = AbsentForOne(), InMemoryPublisher()
    retried = {**COMPLETED, "id": "b:2", "data": {**DATA, "task_id": "b"}}
    refused = {**COMPLETED, "data": []}
    with task_api(notifier=notifier, publisher=publisher) as client:
        found = deliver(client, refused, COMPLETED, b"\xff", retried, {**COMPLETED, "type": "x"})
    assert found == ["SUCCESS", "SUCCESS", "SUCCESS", "RETRY", "SUCCESS"]
    assert [request.event_id for request in notifier.requests] == ["a:2"]
    assert len(refusals(publisher)) == 1


def test_an_event_that_was_published_twice_is_one_dead_letter() -> None:
    publisher = InMemoryPublisher()
    published = {**COMPLETED, "data": [], "pubsubname": "pubsub", "topic": "task-events"}
    with task_api(publisher=publisher) as client:
        for trace in ("00-1-1-00", "00-2-2-00"):
            deliver(client, {**published, "traceparent": trace, "traceid": trace})
    assert len({refusal.id for refusal in refusals(publisher)}) == 1


def test_other_content_under_the_same_event_id_is_another_dead_letter() -> None:
    publisher = InMemoryPublisher()
    with task_api(publisher=publisher) as client:
        deliver(client, {**COMPLETED, "data": []}, {**COMPLETED, "data": {}})
    assert len({refusal.id for refusal in refusals(publisher)}) == 2


def test_of_a_large_message_the_dead_letter_has_the_beginning() -> None:
    publisher = InMemoryPublisher()
    with task_api(publisher=publisher) as client:
        deliver(client, {**COMPLETED, "data": "x" * 3_000_000})
    (refusal,) = refusals(publisher)
    assert refusal.size > 3_000_000
    assert refusal.message.payload.startswith(b'{"specversion"')
    assert len(refusal.message.payload) == 1_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"entries": [{"entryId": "0", "event": {"id": "a"}}]}, "rawPayload"),
        ({"entries": None}, "bulkSubscribe"),
        ({"topic": "task-changes", "pubsubname": "changelog"}, "task-changes of changelog"),
        ({"pubsubname": "other"}, "task-events of other"),
    ],
)
def test_a_delivery_that_a_subscription_does_not_get_is_asked_for_again(
    change: dict[str, object], reason: str
) -> None:
    notifier = InMemoryNotifier()
    with task_api(notifier=notifier) as client:
        answer = _post(client, "task-events", {**bulk("task-events", COMPLETED), **change})
    assert answer.status_code == 503
    assert reason in answer.json()["detail"]
    assert notifier.requests == []


@pytest.mark.parametrize("path", ["/events/task-change", "/event/task-events", "/", "/health"])
def test_a_delivery_to_a_path_of_no_subscription_is_asked_for_again(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with task_api() as client:
        for _ in range(2):
            answer = client.post(path, json=bulk("task-events", COMPLETED), headers=FROM_SIDECAR)
            assert answer.status_code == 503
            there_is = "there is /events/task-changes and /events/task-events"
            assert there_is in answer.json()["detail"]
        assert client.post(path, json={}).status_code in (404, 405)
    said = [line for line in capsys.readouterr().out.splitlines() if "unknown_path" in line]
    assert len(said) == 1
    assert path in said[0] and "pubsub" in said[0]


def test_the_content_type_of_a_callback_does_not_matter() -> None:
    notifier = InMemoryNotifier()
    with task_api(notifier=notifier) as client:
        assert deliver(client, COMPLETED) == ["SUCCESS"]
    assert len(notifier.requests) == 1


@pytest.mark.parametrize("headers", [{}, {"dapr-api-token": ""}, {"dapr-api-token": "guess"}])
@pytest.mark.parametrize("path", ["/events/task-events", "/events/task-changes", "/redeliver"])
def test_only_the_sidecar_may_deliver_events(path: str, headers: dict[str, str]) -> None:
    with task_api() as client:
        answer = client.post(path, json=COMPLETED, headers=headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "APP_API_TOKEN" in answer.json()["detail"]


def test_only_notification_service_may_have_a_message_redelivered() -> None:
    notifier = InMemoryNotifier()
    message = {"component": "pubsub", "topic": "task-events", "payload": "e30="}
    with task_api(notifier=notifier) as client:
        for caller in ({}, {"dapr-caller-app-id": "task-api"}):
            headers = {**FROM_SIDECAR, **caller}
            assert client.post("/redeliver", json=message, headers=headers).status_code == 403


def test_activity_tells_events_apart_by_the_id_of_their_cloud_event() -> None:
    """Events without a version too, which older publishers send."""
    adapters = notification_service.in_memory_adapters.in_memory_adapters()
    data = {name: value for name, value in DATA.items() if name != "version"}
    with TestClient(notification_service.main.create_app(adapters=adapters)) as client:
        events = [{**COMPLETED, "id": f"e{n}", "data": data} for n in range(5)]
        assert deliver(client, *events, *events) == ["SUCCESS"] * 10
        assert len(client.get("/activity").json()["items"]) == 5
