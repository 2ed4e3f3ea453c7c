"""What a subscription answers its sidecar, on purpose."""

import json

import pytest
from fastapi.testclient import TestClient

from notification_service.in_memory_adapters import (
    in_memory_adapters as notifications_in_memory,
)
from notification_service.main import create_app as create_notification_service
from service_kit.in_memory_adapters import InMemoryPublisher
from service_kit.ports import Unavailable
from shared_models import CloudEvent, NotificationReceipt, NotificationRequest
from task_api.in_memory_adapters import InMemoryNotifier, in_memory_adapters
from task_api.main import create_app
from tests.deliveries import bulk, raw_bulk, statuses

FROM_SIDECAR = {"dapr-api-token": "token", "content-type": "application/cloudevents+json"}
COMPLETED = {
    "specversion": "1.0",
    "id": "a:2",
    "source": "task-api",
    "type": "task.completed",
    "subject": "a",
    "data": {
        "event_type": "task.completed",
        "task_id": "a",
        "title": "Learn Dapr",
        "status": "completed",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 2,
    },
}


class AbsentNotifier:
    async def notify(self, request: NotificationRequest) -> NotificationReceipt:
        raise Unavailable("notification-service is away")


class BrokenNotifier:
    async def notify(self, request: NotificationRequest) -> NotificationReceipt:
        raise RuntimeError("a bug")


def _deliver(event: object, **adapters: object) -> tuple[str, InMemoryPublisher]:
    chosen = in_memory_adapters()._replace(**adapters)  # type: ignore[arg-type]
    with TestClient(create_app(adapters=chosen)) as client:
        answer = client.post("/events/task-events", json=bulk(event), headers=FROM_SIDECAR)
    assert answer.status_code == 200
    assert isinstance(chosen.publisher, InMemoryPublisher)
    (status,) = statuses(answer)
    return status, chosen.publisher


def test_a_completed_task_is_notified_once_with_the_id_of_its_event() -> None:
    notifier = InMemoryNotifier()
    status, _ = _deliver(COMPLETED, notifier=notifier)
    assert status == "SUCCESS"
    assert [request.event_id for request in notifier.requests] == ["a:2"]


def test_an_event_of_schema_0_is_understood() -> None:
    notifier = InMemoryNotifier()
    data = {name: value for name, value in COMPLETED["data"].items() if name != "version"}  # type: ignore[attr-defined]
    status, _ = _deliver({**COMPLETED, "data": data}, notifier=notifier)
    assert status == "SUCCESS"
    assert len(notifier.requests) == 1


def test_unknown_fields_of_an_event_are_ignored() -> None:
    notifier = InMemoryNotifier()
    status, _ = _deliver(
        {**COMPLETED, "later": 1, "data": {**COMPLETED["data"], "later": 1}},  # type: ignore[dict-item]
        notifier=notifier,
    )
    assert status == "SUCCESS"
    assert len(notifier.requests) == 1


def test_intents_that_were_dead_lettered_are_handled_when_replayed() -> None:
    adapters = in_memory_adapters()
    assert isinstance(adapters.publisher, InMemoryPublisher)
    assert isinstance(adapters.changelog, InMemoryPublisher)
    with TestClient(create_app(adapters=adapters)) as client:
        task = client.post("/tasks", json={"title": "a"}).json()
        (intents,) = adapters.changelog.of("task-changes")
        answer = client.post(
            "/events/task-events",
            json=bulk(intents.model_dump(mode="json")),
            headers=FROM_SIDECAR,
        )
    assert statuses(answer) == ["SUCCESS"]
    assert [event.id for event in adapters.publisher.published[0][1:]] == [f"{task['id']}:1"]


def test_an_absent_service_is_worth_a_retry() -> None:
    status, publisher = _deliver(COMPLETED, notifier=AbsentNotifier())
    assert status == "RETRY"
    assert publisher.published == []


@pytest.mark.parametrize(
    ("event", "notifier", "reason"),
    [
        (COMPLETED, BrokenNotifier(), "RuntimeError: a bug"),
        (
            {**COMPLETED, "data": {"task_id": "a"}},
            InMemoryNotifier(),
            "task.completed could not be read",
        ),
        ({**COMPLETED, "data": "text"}, InMemoryNotifier(), "task.completed could not be read"),
    ],
)
def test_what_no_retry_can_help_is_dead_lettered_with_the_reason(
    event: object, notifier: object, reason: str
) -> None:
    status, publisher = _deliver(event, notifier=notifier)
    assert status == "SUCCESS"
    (letter,) = publisher.of("task-events-dead")
    assert letter.id == "a:2"
    assert reason in (letter.model_extra or {})["deadletterreason"]
    assert (letter.model_extra or {})["deadletterappid"] == "task-api"


def test_without_a_broker_for_the_dead_letter_the_event_is_retried() -> None:
    class Away(InMemoryPublisher):
        async def publish(self, topic: str, event: CloudEvent) -> None:
            raise Unavailable("no broker")

    status, _ = _deliver(COMPLETED, notifier=BrokenNotifier(), publisher=Away())
    assert status == "RETRY"


@pytest.mark.parametrize("event", [[], "text", None, {"id": "a"}, {**COMPLETED, "id": ""}])
def test_what_is_no_cloud_event_is_dead_lettered_with_the_reason(event: object) -> None:
    adapters = notifications_in_memory()
    assert isinstance(adapters.publisher, InMemoryPublisher)
    with TestClient(create_notification_service(adapters=adapters)) as client:
        answer = client.post("/events/task-events", json=bulk(event), headers=FROM_SIDECAR)
        assert statuses(answer) == ["SUCCESS"]
        (letter,) = adapters.publisher.of("task-events-dead")
        client.post(
            "/events/task-events-dead",
            json=raw_bulk(letter.model_dump_json(exclude_none=True).encode()),
            headers=FROM_SIDECAR,
        )
        (kept,) = client.get("/dead-letters").json()["items"]
    assert "not a CloudEvent" in kept["reason"]
    assert kept["app_id"] == "notification-service"
    assert json.loads(kept["payload"]) == event


@pytest.mark.parametrize("type", [[], {}, None, 1])
def test_an_event_of_no_type_does_not_hold_up_the_others(type: object) -> None:
    notifier = InMemoryNotifier()
    adapters = in_memory_adapters()._replace(notifier=notifier)
    with TestClient(create_app(adapters=adapters)) as client:
        answer = client.post(
            "/events/task-events",
            json=bulk({**COMPLETED, "type": type}, COMPLETED),
            headers=FROM_SIDECAR,
        )
    assert statuses(answer) == ["SUCCESS", "SUCCESS"]
    assert len(notifier.requests) == 1


def test_each_event_of_a_bulk_is_settled_for_itself() -> None:
    class AbsentForOne(InMemoryNotifier):
        async def notify(self, request: NotificationRequest) -> NotificationReceipt:
            if request.event_id == "b:2":
                raise Unavailable("notification-service is away")
            return await super().notify(request)

    notifier = AbsentForOne()
    data = {**COMPLETED["data"], "task_id": "b"}  # type: ignore[dict-item]
    other = {**COMPLETED, "type": "task.created"}
    with TestClient(
        create_app(adapters=in_memory_adapters()._replace(notifier=notifier))
    ) as client:
        answer = client.post(
            "/events/task-events",
            json=bulk(COMPLETED, {**COMPLETED, "data": data}, other, "text"),
            headers=FROM_SIDECAR,
        )
    assert statuses(answer) == ["SUCCESS", "RETRY", "SUCCESS", "SUCCESS"]
    assert [request.event_id for request in notifier.requests] == ["a:2"]


def test_the_content_type_of_a_callback_does_not_matter() -> None:
    notifier = InMemoryNotifier()
    adapters = in_memory_adapters()._replace(notifier=notifier)
    with TestClient(create_app(adapters=adapters)) as client:
        body = json.dumps(bulk(COMPLETED)).encode()
        answer = client.post(
            "/events/task-events", content=body, headers={"dapr-api-token": "token"}
        )
    assert statuses(answer) == ["SUCCESS"]
    assert len(notifier.requests) == 1


@pytest.mark.parametrize("headers", [{}, {"dapr-api-token": ""}, {"dapr-api-token": "guess"}])
@pytest.mark.parametrize("path", ["/events/task-events", "/events/task-changes"])
def test_only_the_sidecar_may_deliver_events(path: str, headers: dict[str, str]) -> None:
    with TestClient(create_app(adapters=in_memory_adapters())) as client:
        answer = client.post(path, json=COMPLETED, headers=headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "APP_API_TOKEN" in answer.json()["detail"]
