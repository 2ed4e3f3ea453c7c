"""The HTTP contract of notification-service, row by row."""

from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from httpx2 import Client

from notification_service.in_memory_adapters import in_memory_adapters
from notification_service.main import create_app
from service_kit.in_memory_adapters import InMemoryPublisher
from tests.contract.test_task_api_http import is_problem
from tests.unit.test_subscriptions import deliver

FROM_TASK_API = {"dapr-api-token": "token", "dapr-caller-app-id": "task-api"}


@pytest.fixture
def publisher() -> InMemoryPublisher:
    """What the service `in_memory` publishes to."""
    return InMemoryPublisher()


@pytest.fixture
def in_memory(publisher: InMemoryPublisher) -> TestClient:
    """A service whose token is known, so that the test can play its sidecar."""
    return TestClient(create_app(adapters=in_memory_adapters()._replace(publisher=publisher)))


def test_notify_delivers_an_event_once(in_memory: TestClient) -> None:
    body = {"type": "task_completed", "task_id": "a", "message": "done", "event_id": "a:2"}
    with in_memory as api:
        first = api.post("/notify", json=body, headers=FROM_TASK_API)
        again = api.post("/notify", json=body, headers=FROM_TASK_API)
        listed = api.get("/notifications", params={"task_id": "a"}).json()["items"]
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["status"] == "sent"
    assert again.json() == {"id": first.json()["id"], "status": "duplicate"}
    assert [each["id"] for each in listed] == [first.json()["id"]]


def test_notify_without_an_event_id_delivers_each_time(in_memory: TestClient) -> None:
    body = {"type": "note", "task_id": "a", "message": "hello", "recipient": "ann"}
    with in_memory as api:
        ids = {api.post("/notify", json=body, headers=FROM_TASK_API).json()["id"] for _ in "ab"}
        listed = api.get("/notifications", params={"recipient": "ann"}).json()["items"]
        others = api.get("/notifications", params={"recipient": "bob"}).json()["items"]
    assert {each["id"] for each in listed} == ids
    assert others == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"dapr-caller-app-id": "task-api"},
        {"dapr-api-token": "guess", "dapr-caller-app-id": "task-api"},
        {"dapr-api-token": "token"},
        {"dapr-api-token": "token", "dapr-caller-app-id": "another-app"},
    ],
)
def test_notify_is_only_for_task_api_through_dapr(
    in_memory: TestClient, headers: dict[str, str]
) -> None:
    body = {"type": "t", "task_id": "a", "message": "m"}
    with in_memory as api:
        assert is_problem(api.post("/notify", json=body, headers=headers), 403)
        assert api.get("/notifications").json()["items"] == []


def test_notify_called_directly_is_refused(notifier_api: Client) -> None:
    body = {"type": "t", "task_id": "a", "message": "m"}
    headers = {"dapr-caller-app-id": "task-api"}
    assert is_problem(notifier_api.post("/notify", json=body, headers=headers), 403)


@pytest.mark.parametrize("body", [{}, {"type": "t", "task_id": "a", "message": "m", "more": 1}])
def test_notify_refuses_a_bad_body(in_memory: TestClient, body: object) -> None:
    with in_memory as api:
        assert is_problem(api.post("/notify", json=body, headers=FROM_TASK_API), 422)


def test_notifications_are_listed_newest_first_in_pages(in_memory: TestClient) -> None:
    with in_memory as api:
        for number in range(5):
            body = {"type": "t", "task_id": "a", "message": str(number)}
            api.post("/notify", json=body, headers=FROM_TASK_API)
        first = api.get("/notifications", params={"limit": 3}).json()
        rest = api.get("/notifications", params={"cursor": first["next_cursor"]}).json()
    assert [each["message"] for each in first["items"] + rest["items"]] == list("43210")
    assert rest["next_cursor"] is None


def test_a_cursor_goes_on_with_its_own_list_alone(in_memory: TestClient) -> None:
    with in_memory as api:
        for _ in range(3):
            body = {"type": "t", "task_id": "a", "message": "m", "recipient": "ann"}
            api.post("/notify", json=body, headers=FROM_TASK_API)
        for query in ({}, {"task_id": "a"}, {"recipient": "ann"}):
            page = api.get("/notifications", params={**query, "limit": "2"}).json()
            for other in ({}, {"task_id": "a"}, {"recipient": "ann"}, {"recipient": "bob"}):
                params = {**other, "cursor": page["next_cursor"]}
                answer = api.get("/notifications", params=params)
                if other == query:
                    assert len(answer.json()["items"]) == 1
                else:
                    assert is_problem(answer, 400)
            for path in ("/activity", "/dead-letters"):
                answer = api.get(path, params={"cursor": page["next_cursor"]})
                assert is_problem(answer, 400)


@pytest.mark.parametrize("path", ["/notifications", "/dead-letters", "/activity"])
@pytest.mark.parametrize(
    ("query", "status"), [("limit=0", 422), ("limit=101", 422), ("cursor=nowhere", 400)]
)
def test_a_bad_query_is_refused(notifier_api: Client, path: str, query: str, status: int) -> None:
    assert is_problem(notifier_api.get(f"{path}?{query}"), status)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_preferences_are_kept_for_each_person(notifier_api: Client, method: str) -> None:
    url = f"/preferences/{uuid4()}"
    assert notifier_api.get(url).status_code == 204
    for settings in ({"channel": "mail", "quiet": [22, 7]}, {}):
        answer = notifier_api.request(method, url, json=settings)
        assert answer.status_code == 200
        assert notifier_api.get(url).json() == settings


@pytest.mark.parametrize(
    "name",
    ["a%2Fb", "a/b/", "ann@example.com", "Zo%C3%AB", "a%20b", "x" * 164, "~", "%25", "a||b", ".."],
)
def test_a_name_may_be_any_line(notifier_api: Client, name: str) -> None:
    url, other = (f"/preferences/{uuid4()}{name}" for _ in range(2))
    settings = {"of": str(uuid4())}
    assert notifier_api.put(url, json=settings).status_code == 200
    assert notifier_api.get(url).json() == settings
    assert notifier_api.get(other).status_code == 204


def test_a_slash_in_a_name_is_a_slash_however_it_is_written(notifier_api: Client) -> None:
    user = str(uuid4())
    notifier_api.put(f"/preferences/{user}%2Fb", json={"a": 1})
    assert notifier_api.get(f"/preferences/{user}/b").json() == {"a": 1}


@pytest.mark.parametrize("name", ["%FF", "a%C3", "%ED%A0%80"])
def test_a_name_that_is_no_utf_8_is_refused(notifier_api: Client, name: str) -> None:
    assert is_problem(notifier_api.get(f"/preferences/{name}"), 400)
    assert is_problem(notifier_api.put(f"/preferences/{name}", json={}), 400)


@pytest.mark.parametrize("name", ["", "%20", "a%00", "a%09b", "a%C2%85", "a%E2%80%AE", "x" * 201])
def test_a_name_that_is_no_line_is_refused(notifier_api: Client, name: str) -> None:
    assert is_problem(notifier_api.get(f"/preferences/{name}"), 422)


def test_settings_of_more_than_64_kb_are_refused(notifier_api: Client) -> None:
    url = f"/preferences/{uuid4()}"
    assert notifier_api.put(url, json={"a": "é" * 32_000}).status_code == 200
    assert is_problem(notifier_api.put(url, json={"a": "é" * 33_000}), 413)
    assert notifier_api.get(url).json() == {"a": "é" * 32_000}


def test_a_person_is_one_person_however_the_name_was_typed(
    notifier_api: Client, in_memory: TestClient
) -> None:
    suffix = str(uuid4())
    composed, decomposed = f"Zo\u00eb {suffix}", f"Zoe\u0308 {suffix}"
    notifier_api.put(f"/preferences/{decomposed}", json={"channel": "mail"})
    assert notifier_api.get(f"/preferences/{composed}").json() == {"channel": "mail"}
    body = {"type": "note", "task_id": "a", "message": "hello", "recipient": decomposed}
    with in_memory as api:
        api.post("/notify", json=body, headers=FROM_TASK_API)
        for name in (composed, decomposed):
            (sent,) = api.get("/notifications", params={"recipient": name}).json()["items"]
            assert sent["recipient"] == composed


@pytest.mark.parametrize("body", [b"[]", b"{", b'"text"', b"null"])
def test_preferences_that_are_no_object_are_refused(notifier_api: Client, body: bytes) -> None:
    url = f"/preferences/{uuid4()}"
    answer = notifier_api.put(url, content=body, headers={"Content-Type": "application/json"})
    assert is_problem(answer, 422)
    assert notifier_api.get(url).status_code == 204


def test_activity_has_each_event_once(in_memory: TestClient) -> None:
    with in_memory as api:
        assert deliver(api, *map(_task_event, (2, 1, 2))) == ["SUCCESS"] * 3
        feed = api.get("/activity").json()["items"]
    assert sorted(event["version"] for event in feed) == [1, 2]


def test_health_and_readiness(notifier_api: Client) -> None:
    assert notifier_api.get("/health").json() == {"status": "healthy"}
    assert notifier_api.get("/health/ready").json() == {"status": "ready"}


def _task_event(version: int) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"a:{version}",
        "source": "task-api",
        "type": "task.updated",
        "data": {
            "event_type": "task.updated",
            "task_id": "a",
            "title": "t",
            "status": "pending",
            "timestamp": "2026-01-01T00:00:00Z",
            "version": version,
        },
    }
