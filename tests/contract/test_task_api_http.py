"""The HTTP contract of task-api, row by row."""

import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Client, Response

from tests.eventually import eventually

Header = list[tuple[bytes, bytes]]


def create(api: Client, **fields: object) -> dict[str, Any]:
    answer = api.post("/tasks", json={"title": "Learn Dapr", **fields})
    assert answer.status_code == 201
    task: dict[str, Any] = answer.json()
    return task


def is_problem(answer: Response, status: int) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    return True


def test_create_answers_the_task_its_location_and_its_etag(api: Client) -> None:
    answer = api.post(
        "/tasks",
        json={
            "title": "Learn Dapr",
            "description": "building blocks",
            "priority": 2,
            "assignee": "ann",
            "due_at": "2027-01-01T12:00:00.5+02:00",
        },
    )
    task = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/tasks/{task['id']}"
    assert answer.headers["etag"] == '"1"'
    assert task["status"] == "pending"
    assert task["due_at"] == "2027-01-01T10:00:00.500000Z"
    assert task["created_at"] == task["updated_at"]
    assert datetime.fromisoformat(task["created_at"]).tzinfo == UTC
    assert {name: task[name] for name in ("title", "description", "priority", "assignee")} == {
        "title": "Learn Dapr",
        "description": "building blocks",
        "priority": 2,
        "assignee": "ann",
    }


def test_create_fills_in_the_defaults(api: Client) -> None:
    task = create(api)
    assert task["priority"] == 1
    assert task["description"] is None
    assert task["assignee"] is None
    assert task["due_at"] is None


def test_create_with_an_idempotency_key_makes_one_task(api: Client) -> None:
    headers, body = {"Idempotency-Key": str(uuid4())}, {"title": "once"}
    first = api.post("/tasks", json=body, headers=headers)
    again = api.post("/tasks", json={**body, "priority": 1}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    history = api.get(f"/tasks/{first.json()['id']}/history").json()["items"]
    assert [event["event_type"] for event in history] == ["task.created"]


def test_an_idempotency_key_with_another_body_is_refused(api: Client) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    api.post("/tasks", json={"title": "one"}, headers=headers)
    assert is_problem(api.post("/tasks", json={"title": "two"}, headers=headers), 422)


def test_an_idempotency_key_outlives_its_task(api: Client) -> None:
    headers, body = {"Idempotency-Key": str(uuid4())}, {"title": "once"}
    task = api.post("/tasks", json=body, headers=headers).json()
    api.delete(f"/tasks/{task['id']}")
    assert is_problem(api.post("/tasks", json=body, headers=headers), 410)
    time.sleep(0.5)  # by then its key is gone, too
    assert is_problem(api.post("/tasks", json=body, headers=headers), 410)


def test_list_is_newest_first_and_walks_page_by_page(api: Client) -> None:
    assignee = str(uuid4())
    ids = [create(api, assignee=assignee)["id"] for _ in range(5)]
    found: list[str] = []
    cursor: str | None = None
    while True:
        query = {"assignee": assignee, "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = api.get("/tasks", params=query).json()
        assert len(page["items"]) <= 2
        found += [task["id"] for task in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == ids[::-1]


@pytest.mark.parametrize(
    "other", [{}, {"assignee": "bob"}, {"status": "pending"}, {"status": "completed"}]
)
def test_a_cursor_goes_on_with_its_own_filters_alone(api: Client, other: dict[str, str]) -> None:
    own = {"assignee": str(uuid4()), "limit": "1"}
    older, newer = (create(api, assignee=own["assignee"]) for _ in range(2))
    first = api.get("/tasks", params=own).json()
    assert first["items"] == [newer]
    cursor = {"cursor": first["next_cursor"]}
    assert api.get("/tasks", params={**own, "limit": "2", **cursor}).json()["items"] == [older]
    assert is_problem(api.get("/tasks", params={**other, **cursor}), 400)


def test_list_filters_by_status_priority_and_assignee(api: Client) -> None:
    assignee = str(uuid4())
    low = create(api, assignee=assignee, priority=1)["id"]
    high = create(api, assignee=assignee, priority=5)["id"]
    done = create(api, assignee=assignee, priority=5)["id"]
    api.put(f"/tasks/{done}/status", params={"status": "completed"})

    def listed(**query: object) -> list[str]:
        page = api.get("/tasks", params={"assignee": assignee, **query})  # type: ignore[dict-item]
        return [task["id"] for task in page.json()["items"]]

    assert listed() == [done, high, low]
    assert listed(status="pending") == [high, low]
    assert listed(status="completed") == [done]
    assert listed(status="in_progress") == []
    assert listed(priority=5) == [done, high]
    assert listed(priority=5, status="pending") == [high]


def test_an_assignee_is_one_name_however_it_was_typed(api: Client) -> None:
    suffix = str(uuid4())
    composed, decomposed = f"Zo\u00eb {suffix}", f"Zoe\u0308 {suffix}"
    made = [create(api, assignee=name) for name in (composed, decomposed)]
    assert [task["assignee"] for task in made] == [composed] * 2
    for name in (composed, decomposed):
        page = api.get("/tasks", params={"assignee": name}).json()
        assert [task["id"] for task in page["items"]] == [made[1]["id"], made[0]["id"]]


@pytest.mark.parametrize("title", ["👨‍👩‍👧 Essen", "買い物　リスト", "C:\\temp", "it's"])
def test_a_title_comes_back_as_it_was_typed(api: Client, title: str) -> None:
    task = create(api, title=title)
    assert api.get(f"/tasks/{task['id']}").json()["title"] == task["title"] == title


def test_a_reopened_task_is_listed_once_among_the_open_ones(api: Client) -> None:
    assignee = str(uuid4())
    task = create(api, assignee=assignee)["id"]
    for status in ("completed", "pending", "completed", "in_progress"):
        api.put(f"/tasks/{task}/status", params={"status": status})
    page = api.get("/tasks", params={"assignee": assignee, "status": "in_progress"}).json()
    assert [each["id"] for each in page["items"]] == [task]


def test_open_tasks_are_newest_first_also_when_they_were_reopened(api: Client) -> None:
    assignee = str(uuid4())
    ids = [create(api, assignee=assignee)["id"] for _ in range(6)]
    for status in ("completed", "pending"):
        for id in (ids[1], ids[4], ids[0]):
            api.put(f"/tasks/{id}/status", params={"status": status})
    time.sleep(0.5)  # by then all is announced, and what completed has left the list
    found: list[str] = []
    query = {"assignee": assignee, "status": "pending", "limit": "2"}
    while True:
        page = api.get("/tasks", params=query).json()
        found += [task["id"] for task in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == ids[::-1]


def test_a_task_is_listed_as_soon_as_it_is_created(api: Client) -> None:
    for _ in range(5):
        task = create(api)
        assert api.get("/tasks", params={"limit": 1}).json()["items"] == [task]


def test_get_answers_the_task_and_its_etag(api: Client) -> None:
    task = create(api)
    answer = api.get(f"/tasks/{task['id']}")
    assert answer.status_code == 200
    assert answer.json() == task
    assert answer.headers["etag"] == '"1"'


@pytest.mark.parametrize("path", ["", "/history"])
def test_get_of_an_unknown_task_is_404(api: Client, path: str) -> None:
    assert is_problem(api.get(f"/tasks/no-such-task{path}"), 404)


def test_put_replaces_the_editable_fields(api: Client) -> None:
    task = create(api, description="old", priority=3, assignee="ann")
    answer = api.put(f"/tasks/{task['id']}", json={"title": "New"})
    replaced = answer.json()
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert replaced["title"] == "New"
    assert (replaced["description"], replaced["priority"], replaced["assignee"]) == (None, 1, None)
    assert replaced["created_at"] == task["created_at"]
    assert replaced["updated_at"] > task["updated_at"]


def test_patch_merges_and_null_resets(api: Client) -> None:
    task = create(api, description="old", priority=3, assignee="ann")
    answer = api.patch(
        f"/tasks/{task['id']}",
        json={"description": None, "priority": None, "title": "New"},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    patched = answer.json()
    assert answer.status_code == 200
    assert patched["title"] == "New"
    assert (patched["description"], patched["priority"], patched["assignee"]) == (None, 1, "ann")


@pytest.mark.parametrize("body", [{"title": None}, {"status": "completed"}, [], "text", {"a": 1}])
def test_a_patch_that_is_none_is_refused(api: Client, body: object) -> None:
    task = create(api)
    assert is_problem(api.patch(f"/tasks/{task['id']}", json=body), 422)
    assert api.get(f"/tasks/{task['id']}").json() == task


def test_a_change_to_the_same_changes_and_announces_nothing(api: Client) -> None:
    task = create(api)
    url = f"/tasks/{task['id']}"
    same = {"title": task["title"], "priority": task["priority"]}
    answers = [
        api.put(url, json=same),
        api.patch(url, json={}),
        api.put(f"{url}/status", params={"status": "pending"}),
    ]
    assert [answer.json() for answer in answers] == [task] * 3
    assert len(api.get(f"{url}/history").json()["items"]) == 1


def test_status_goes_through_all_three(api: Client) -> None:
    task = create(api)
    for version, status in enumerate(("in_progress", "completed", "pending"), start=2):
        answer = api.put(f"/tasks/{task['id']}/status", params={"status": status})
        assert answer.status_code == 200
        assert (answer.json()["status"], answer.json()["version"]) == (status, version)


def test_delete_hides_the_task_at_once_and_ends_its_life(api: Client) -> None:
    task = create(api)
    url = f"/tasks/{task['id']}"
    answer = api.delete(url)
    assert answer.status_code == 204
    assert answer.content == b""
    assert is_problem(api.get(url), 404)
    assert is_problem(api.get(f"{url}/history"), 404)
    assert is_problem(api.put(url, json={"title": "back"}), 404)
    assert is_problem(api.put(f"{url}/status", params={"status": "pending"}), 404)
    assert is_problem(api.delete(url), 404)
    assert task["id"] not in [each["id"] for each in api.get("/tasks").json()["items"]]


def test_history_has_the_events_newest_first(api: Client) -> None:
    task = create(api, assignee="ann")
    api.patch(f"/tasks/{task['id']}", json={"priority": 4})
    api.put(f"/tasks/{task['id']}/status", params={"status": "completed"})
    page = api.get(f"/tasks/{task['id']}/history").json()
    assert page["next_cursor"] is None
    assert [(event["event_type"], event["version"]) for event in page["items"]] == [
        ("task.completed", 3),
        ("task.updated", 2),
        ("task.created", 1),
    ]
    assert page["items"][0]["priority"] == 4
    assert page["items"][2]["priority"] == 1


def changes(api: Client, headers: Header, task: dict[str, Any] | None = None) -> list[Response]:
    """Return the answers to one change of each kind, all to `task` or each to one of its own."""
    urls = [f"/tasks/{(task or create(api))['id']}" for _ in range(4)]
    return [
        api.put(urls[0], json={"title": "New"}, headers=headers),
        api.patch(urls[1], json={"title": "New"}, headers=headers),
        api.put(f"{urls[2]}/status", params={"status": "completed"}, headers=headers),
        api.delete(urls[3], headers=headers),
    ]


def in_lines(name: str, values: list[str]) -> Header:
    """Return a header field in several lines."""
    return [(name.encode(), value.encode("latin-1")) for value in values]


IF_MATCH_OF_VERSION_1 = [
    ['"1"'],
    ["*"],
    ['"7", "1"'],
    ['"7","1"'],
    ['"7"', '"1"'],
    ['W/"1"', '"7", "1"'],
    [',, "1" ,\t,'],
    ["", '"1"'],
    ['"1", "a,b"'],
]
IF_MATCH_OF_ANOTHER = [['"0"'], ['W/"1"'], ['"7"', '"8"'], ['"1,"'], ['"7,1"'], ['"é"']]
NO_LIST = [["1"], [""], [","], ['"1'], ['"1" "7"'], ["*, *"], ['*, "1"'], ['w/"1"'], ['"1";"7"']]


@pytest.mark.parametrize("lines", IF_MATCH_OF_VERSION_1)
def test_what_if_match_names_is_changed_and_read(api: Client, lines: list[str]) -> None:
    headers = in_lines("If-Match", lines)
    assert [answer.status_code for answer in changes(api, headers)] == [200, 200, 200, 204]
    assert api.get(f"/tasks/{create(api)['id']}", headers=headers).status_code == 200


@pytest.mark.parametrize("lines", IF_MATCH_OF_ANOTHER + NO_LIST)
def test_what_if_match_does_not_name_is_neither_changed_nor_read(
    api: Client, lines: list[str]
) -> None:
    headers = in_lines("If-Match", lines)
    task = create(api)
    url = f"/tasks/{task['id']}"
    for answer in (*changes(api, headers, task), api.get(url, headers=headers)):
        assert is_problem(answer, 400 if lines in NO_LIST else 412)
    assert api.get(url).json() == task


IF_NONE_MATCH_OF_VERSION_1 = [*IF_MATCH_OF_VERSION_1, ['W/"1"'], ['"7"', ', W/"1" ,']]


@pytest.mark.parametrize("lines", IF_NONE_MATCH_OF_VERSION_1)
def test_what_if_none_match_names_is_not_changed_and_not_sent(
    api: Client, lines: list[str]
) -> None:
    headers = in_lines("If-None-Match", lines)
    task = create(api)
    assert all(is_problem(answer, 412) for answer in changes(api, headers, task))
    answer = api.get(f"/tasks/{task['id']}", headers=headers)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"1"'


@pytest.mark.parametrize("lines", [['"0"'], ['W/"2"'], ['"7"', '"8"'], *NO_LIST])
def test_what_if_none_match_does_not_name_is_changed_and_sent(
    api: Client, lines: list[str]
) -> None:
    headers = in_lines("If-None-Match", lines)
    if lines in NO_LIST:
        assert all(is_problem(answer, 400) for answer in changes(api, headers))
        assert is_problem(api.get(f"/tasks/{create(api)['id']}", headers=headers), 400)
        return
    assert [answer.status_code for answer in changes(api, headers)] == [200, 200, 200, 204]
    assert api.get(f"/tasks/{create(api)['id']}", headers=headers).status_code == 200


def test_if_match_is_looked_at_before_if_none_match(api: Client) -> None:
    url = f"/tasks/{create(api)['id']}"
    stale = {"If-Match": '"0"', "If-None-Match": '"1"'}
    assert is_problem(api.get(url, headers=stale), 412)
    fresh = {"If-Match": '"1"', "If-None-Match": '"1"'}
    assert api.get(url, headers=fresh).status_code == 304
    assert is_problem(api.patch(url, json={"priority": 2}, headers=fresh), 412)


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("value", ["*", '"1"', '"0"'])
def test_a_task_that_is_not_there_is_404_whatever_is_asked(
    api: Client, name: str, value: str
) -> None:
    headers = {name: value}
    for answer in (
        api.get("/tasks/no-such-task", headers=headers),
        api.put("/tasks/no-such-task", json={"title": "New"}, headers=headers),
        api.delete("/tasks/no-such-task", headers=headers),
    ):
        assert is_problem(answer, 404)


def test_a_second_idempotency_key_is_refused(api: Client) -> None:
    key = str(uuid4())
    for keys in ([key, key], [key, str(uuid4())]):
        headers = in_lines("Idempotency-Key", keys)
        assert is_problem(api.post("/tasks", json={"title": "a"}, headers=headers), 400)
    once = api.post("/tasks", json={"title": "b"}, headers={"Idempotency-Key": key})
    assert once.status_code == 201


def test_health_and_readiness(api: Client) -> None:
    assert api.get("/health").json() == {"status": "healthy"}
    assert eventually(lambda: api.get("/health/ready").status_code == 200)


def test_unknown_routes_and_methods_answer_problems(api: Client) -> None:
    assert is_problem(api.get("/no-such-route"), 404)
    assert is_problem(api.delete("/tasks"), 405)
