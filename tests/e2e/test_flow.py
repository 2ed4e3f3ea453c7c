"""Create, complete, notify: through real sidecars, broker and store."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from httpx2 import Client
from redis import Redis

from tests.contract.test_task_api_http import create
from tests.eventually import eventually
from tests.published import published, published_of
from tools.local_system import LocalSystem


def complete(tasks: Client, task_id: str) -> None:
    answer = tasks.put(f"/tasks/{task_id}/status", params={"status": "completed"})
    assert answer.status_code == 200


def notified(notifications: Client, task_id: str) -> list[dict[str, Any]]:
    answer = notifications.get("/notifications", params={"task_id": task_id})
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_completed_task_is_notified_within_a_second(tasks: Client, notifications: Client) -> None:
    task = create(tasks, assignee="ann")
    complete(tasks, task["id"])
    (notification,) = eventually(lambda: notified(notifications, task["id"]), within=1)
    assert notification["type"] == "task_completed"
    assert notification["recipient"] == "ann"
    assert notification["status"] == "sent"
    assert "Learn Dapr" in notification["message"]


def test_every_change_is_announced_in_the_activity_feed(
    tasks: Client, notifications: Client
) -> None:
    task = create(tasks)
    tasks.patch(f"/tasks/{task['id']}", json={"priority": 3})
    complete(tasks, task["id"])
    tasks.delete(f"/tasks/{task['id']}")

    def seen() -> set[str]:
        feed = notifications.get("/activity", params={"limit": 100}).json()["items"]
        return {event["event_type"] for event in feed if event["task_id"] == task["id"]}

    expected = {"task.created", "task.updated", "task.completed", "task.deleted"}
    eventually(lambda: seen() == expected)


def test_an_event_is_a_cloud_event_with_the_id_of_its_change(tasks: Client, redis: Redis) -> None:
    task = create(tasks, priority=4)
    eventually(lambda: published_of(redis, task["id"]))
    (event,) = [each for each in published(redis) if each.get("subject") == task["id"]]
    assert event["specversion"] == "1.0"
    assert event["id"] == f"{task['id']}:1"
    assert event["type"] == "task.created"
    assert event["source"] == "task-api"
    assert event["data"] == {
        "event_type": "task.created",
        "task_id": task["id"],
        "title": "Learn Dapr",
        "status": "pending",
        "timestamp": task["created_at"],
        "version": 1,
        "priority": 4,
        "assignee": None,
        "due_at": None,
        "schema_version": 1,
    }


def test_state_is_in_the_state_store_and_gone_a_second_after_its_deletion(
    tasks: Client, redis: Redis
) -> None:
    task = create(tasks)
    key = f"task-api||task-{task['id']}"
    assert redis.exists(key)
    tasks.delete(f"/tasks/{task['id']}")
    eventually(lambda: not redis.exists(key), within=1)
    eventually(lambda: published_of(redis, task["id"]) == ["task.created", "task.deleted"])


def test_20_clients_that_complete_a_task_at_once_notify_once(
    tasks: Client, notifications: Client, redis: Redis
) -> None:
    task = create(tasks)
    with ThreadPoolExecutor(20) as clients:
        list(clients.map(lambda _: complete(tasks, task["id"]), range(20)))
    eventually(lambda: notified(notifications, task["id"]))
    time.sleep(1)  # whatever would come twice has come by then
    assert len(notified(notifications, task["id"])) == 1
    assert published_of(redis, task["id"]) == ["task.created", "task.completed"]


def test_20_clients_that_change_a_task_at_once_are_all_heard(tasks: Client, redis: Redis) -> None:
    task = create(tasks)
    fields = ["title", "description", "priority", "assignee"]
    with ThreadPoolExecutor(20) as clients:

        def change(number: int) -> int:
            field = fields[number % 4]
            value: object = number % 5 + 1 if field == "priority" else f"{field} {number}"
            answer = tasks.patch(f"/tasks/{task['id']}", json={field: value})
            return answer.status_code

        assert list(clients.map(change, range(20))) == [200] * 20
    final = tasks.get(f"/tasks/{task['id']}").json()
    assert all(final[field] not in (None, task[field]) for field in ("title", "description"))
    assert final["assignee"].startswith("assignee ")
    effective = final["version"] - 1  # priority 1, should it come first, changes nothing
    assert effective in (19, 20)
    eventually(lambda: len(published_of(redis, task["id"])) == final["version"])


def test_two_instances_that_create_and_change_at_once_lose_and_double_nothing(
    system: LocalSystem, tasks: Client, redis: Redis
) -> None:
    replica = system.add_replica("task-api")
    assignee = str(uuid4())
    with Client(base_url=replica) as other, ThreadPoolExecutor(20) as clients:
        ids = list(
            clients.map(
                lambda n: create((tasks, other)[n % 2], assignee=assignee)["id"], range(200)
            )
        )
        listed: list[str] = []
        cursor: str | None = None
        while True:
            query = {"assignee": assignee, "limit": "30"} | ({"cursor": cursor} if cursor else {})
            page = other.get("/tasks", params=query).json()
            listed += [task["id"] for task in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert sorted(listed) == sorted(ids)

        contended = create(tasks)
        changes = [{"title": f"t{n}"} for n in range(20)]
        answers = list(
            clients.map(
                lambda n: (tasks, other)[n % 2].patch(f"/tasks/{contended['id']}", json=changes[n]),
                range(20),
            )
        )
    assert [answer.status_code for answer in answers] == [200] * 20
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 22))
    eventually(lambda: len(set(published_of(redis, contended["id"]))) == 2)
    eventually(
        lambda: (
            {event["id"] for event in published(redis) if event["subject"] == contended["id"]}
            == {f"{contended['id']}:{version}" for version in range(1, 22)}
        )
    )


def test_a_notification_is_streamed_live(tasks: Client, notifications: Client) -> None:
    task = create(tasks)
    with notifications.stream("GET", "/notifications/stream", timeout=10) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        complete(tasks, task["id"])
        for line in lines:
            if line.startswith("data:") and json.loads(line[5:])["task_id"] == task["id"]:
                break


def test_an_event_delivered_twice_and_out_of_order_notifies_once(
    tasks: Client, notifications: Client, redis: Redis
) -> None:
    task = create(tasks)
    complete(tasks, task["id"])
    eventually(lambda: len(published_of(redis, task["id"])) == 2)
    for event in reversed([e for e in published(redis) if e.get("subject") == task["id"]]):
        redis.xadd("task-events", {"data": json.dumps(event)})
    marker = create(tasks)
    complete(tasks, marker["id"])
    eventually(lambda: notified(notifications, marker["id"]))
    time.sleep(0.5)
    assert len(notified(notifications, task["id"])) == 1
    feed = notifications.get("/activity", params={"limit": 100}).json()["items"]
    assert sum(event["task_id"] == task["id"] for event in feed) == 2


def test_an_event_of_a_deleted_task_is_still_handled(tasks: Client, notifications: Client) -> None:
    task = create(tasks)
    complete(tasks, task["id"])
    tasks.delete(f"/tasks/{task['id']}")
    eventually(lambda: notified(notifications, task["id"]))


BAD_MESSAGES = {
    "not JSON": "no event at all",
    "not a CloudEvent": json.dumps({"hello": "world"}),
    "of an unknown type": json.dumps(
        {
            "specversion": "1.0",
            "id": "odd:1",
            "source": "e2e",
            "type": "task.exploded",
            "data": {"event_type": "task.exploded"},
        }
    ),
}


def test_a_bad_message_becomes_a_dead_letter_with_a_reason(
    notifications: Client, redis: Redis
) -> None:
    for message in BAD_MESSAGES.values():
        redis.xadd("task-events", {"data": message})

    def kept(mark: str) -> list[dict[str, Any]]:
        page = notifications.get("/dead-letters", params={"limit": 100}).json()
        return [letter for letter in page["items"] if mark in json.dumps(letter)]

    for mark in ("no event at all", "hello", "odd:1"):
        eventually(lambda mark=mark: kept(mark), within=20)  # type: ignore[misc]
    (odd,) = kept("odd:1")
    assert "task.exploded could not be read" in odd["reason"]
    assert odd["app_id"] == "notification-service"
    (text,) = kept("no event at all")
    assert "no JSON" in text["reason"]
    assert text["payload"] == "no event at all"

    answer = notifications.post(f"/dead-letters/{odd['id']}/replay")
    assert (answer.status_code, answer.json()) == (200, odd)  # still odd, so it stays
    for letter in kept("odd:1") + kept("no event at all") + kept("hello"):
        assert notifications.delete(f"/dead-letters/{letter['id']}").status_code == 204
    assert kept("odd:1") == []
