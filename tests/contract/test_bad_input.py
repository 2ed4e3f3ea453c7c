"""Bad input gets a clear error that says what to do, and nothing is lost by it."""

import json

import pytest
from httpx2 import Client

from tests.contract.test_task_api_http import create, is_problem

NO_TITLE = b"{}"
BAD_BODIES = {
    "malformed": b'{"title": ',
    "not an object": b"[]",
    "no title": NO_TITLE,
    "title of the wrong type": b'{"title": 1}',
    "empty title": b'{"title": ""}',
    "title of spaces": b'{"title": " \\t\\u00a0"}',
    "title of 201 characters": json.dumps({"title": "x" * 201}).encode(),
    "title with NUL": b'{"title": "a\\u0000b"}',
    "title with half a character": b'{"title": "\\ud800"}',
    "title on two lines": b'{"title": "a\\nb"}',
    "title with a tab": b'{"title": "a\\tb"}',
    "title with a line separator": b'{"title": "a\\u2028b"}',
    "title in another order": b'{"title": "a\\u202eb"}',
    "assignee with a control character": b'{"title": "a", "assignee": "a\\u0085"}',
    "description with NUL": b'{"title": "a", "description": "\\u0000"}',
    "description of 10,001 characters": json.dumps(
        {"title": "a", "description": "x" * 10_001}
    ).encode(),
    "priority 0": b'{"title": "a", "priority": 0}',
    "priority 6": b'{"title": "a", "priority": 6}',
    "priority 1.5": b'{"title": "a", "priority": 1.5}',
    "priority as text": b'{"title": "a", "priority": "3"}',
    "priority true": b'{"title": "a", "priority": true}',
    "unknown field": b'{"title": "a", "status": "completed"}',
    "due without a zone": b'{"title": "a", "due_at": "2027-01-01T00:00:00"}',
    "due at no time": b'{"title": "a", "due_at": "soon"}',
    "due after the last year": b'{"title": "a", "due_at": "9999-12-31T23:59:59-01:00"}',
    "due before the first year": b'{"title": "a", "due_at": "0001-01-01T00:00:00+01:00"}',
    "due at a number": b'{"title": "a", "due_at": 253402300800}',
    "due at a number as text": b'{"title": "a", "due_at": "5"}',
    "due on a day": b'{"title": "a", "due_at": "2027-01-01"}',
}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_body_is_refused_and_changes_nothing(api: Client, body: bytes) -> None:
    task = create(api)
    newest = api.get("/tasks", params={"limit": 1}).json()
    created = api.post("/tasks", content=body, headers=JSON)
    replaced = api.put(f"/tasks/{task['id']}", content=body, headers=JSON)
    assert is_problem(created, 422)
    assert is_problem(replaced, 422)
    if body != NO_TITLE:  # which a patch need not have
        assert is_problem(api.patch(f"/tasks/{task['id']}", content=body, headers=JSON), 422)
    assert created.json()["errors"][0]["location"].startswith("body")
    assert api.get("/tasks", params={"limit": 1}).json() == newest
    assert api.get(f"/tasks/{task['id']}").json() == task


def test_a_title_of_200_characters_is_fine(api: Client) -> None:
    assert create(api, title="é" * 200)["title"] == "é" * 200


def test_a_body_of_10_mb_is_too_large(api: Client) -> None:
    body = json.dumps({"title": "a", "description": "x" * 10_000_000}).encode()
    assert is_problem(api.post("/tasks", content=body, headers=JSON), 413)


def test_a_body_that_grows_too_large_without_saying_so_is_refused(api: Client) -> None:
    chunks = (b"x" * 100_000 for _ in range(100))
    assert is_problem(api.post("/tasks", content=chunks, headers=JSON), 413)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=many",
        "status=done",
        "status=",
        "priority=0",
        "priority=6",
        "priority=1.5",
        "priority=",
        "limit=1_0",
        "limit=%2B5",
        "limit=5.0",
        "limit=%205",
        "limit=-1",
        "limit=%D9%A5",
        "limit=1e1",
        "priority=%2B5",
        "asignee=ann",
        "assignee=ann&Limit=5",
        "limit=5&limit=5",
        "status=pending&status=completed",
        "assignee=a%0Ab",
        "assignee=",
        "x",
    ],
)
def test_a_bad_query_is_refused(api: Client, query: str) -> None:
    assert is_problem(api.get(f"/tasks?{query}"), 422)


@pytest.mark.parametrize("path", ["/tasks%0A", "/tasks/a/history%0a", "/health%0A", "/%0A"])
def test_a_path_with_a_line_break_behind_it_is_no_other_path(api: Client, path: str) -> None:
    assert is_problem(api.get(path), 400)


def test_an_answer_does_not_grow_with_the_number_of_faults(api: Client) -> None:
    body = {"title": "a", **{f"field {number}": 1 for number in range(5_000)}}
    query = "&".join(f"field{number}=1" for number in range(1_000))
    for answer in (api.post("/tasks", json=body), api.get(f"/tasks?{query}")):
        assert is_problem(answer, 422)
        assert "990 more" in answer.json()["detail"]
        assert len(answer.content) < 10_000


@pytest.mark.parametrize("url", ["/tasks/%FF", "/%C3", "/tasks?assignee=%FF", "/tasks/%ED%A0%80"])
def test_a_url_that_is_no_utf_8_is_refused(api: Client, url: str) -> None:
    assert is_problem(api.get(url), 400)


@pytest.mark.parametrize(
    "body",
    [b'{"title": "a", "title": "b"}', b'{"title": "a", "priority": 1e999}', b"[" * 10_000, b"\xff"],
)
def test_json_that_readers_take_in_different_ways_is_refused(api: Client, body: bytes) -> None:
    answer = api.post("/tasks", content=body, headers=JSON)
    assert is_problem(answer, 422)
    assert answer.json()["errors"][0]["message"] != "JSON decode error"  # it says why


@pytest.mark.parametrize("cursor", ["", "nowhere", "%00", "OTk5OTk5LjA", "x" * 1000])
def test_a_cursor_from_nowhere_is_refused(api: Client, cursor: str) -> None:
    assert is_problem(api.get(f"/tasks?cursor={cursor}"), 400)


@pytest.mark.parametrize("status", ["done", "", "COMPLETED"])
def test_an_unknown_status_is_refused(api: Client, status: str) -> None:
    task = create(api)
    answer = api.put(f"/tasks/{task['id']}/status", params={"status": status})
    assert is_problem(answer, 422)


def test_no_status_is_refused(api: Client) -> None:
    assert is_problem(api.put(f"/tasks/{create(api)['id']}/status"), 422)


@pytest.mark.parametrize("id", ["no-task", "%00", "..%2F..", "é", "a||b", "x" * 300])
def test_an_id_that_is_no_task_is_404(api: Client, id: str) -> None:
    assert is_problem(api.get(f"/tasks/{id}"), 404)


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_bad_idempotency_key_is_refused(api: Client, key: str) -> None:
    answer = api.post("/tasks", json={"title": "a"}, headers={"Idempotency-Key": key})
    assert is_problem(answer, 422)
