"""A Redis with a bound, as the chart's: what does not fit is 503, and nothing is lost."""

from functools import partial
from typing import Any

from httpx2 import Client
from redis import Redis

from tests.conftest import redis_of
from tests.contract.test_task_api_http import create
from tests.e2e.test_flow import notified
from tests.e2e.test_outages import every_change, every_read, is_unavailable
from tests.eventually import eventually
from tests.published import published_of
from tools.local_system import LocalSystem

ROOM_BYTES = 2_000_000
"""For about two hundred tasks."""


def fill(api: Client) -> list[dict[str, Any]]:
    """Create tasks and complete them until a change is refused; return what was acknowledged."""
    tasks = []
    while (answer := api.post("/tasks", json={"title": "Fill the store"})).status_code == 201:
        tasks.append(answer.json())
        url = f"/tasks/{tasks[-1]['id']}/status"
        answer = api.put(url, params={"status": "completed"})
        if answer.status_code != 200:
            break
        tasks[-1] = answer.json()
    assert is_unavailable(answer)
    return tasks


def test_what_does_not_fit_is_refused_and_nothing_is_lost(breakable: LocalSystem) -> None:
    with (
        Client(base_url=breakable.url("task-api"), timeout=30) as api,
        Client(base_url=breakable.url("notification-service"), timeout=30) as notifications,
        redis_of(breakable) as redis,
    ):
        open_task = create(api)
        room = redis.info("memory")["used_memory"] + ROOM_BYTES
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", room)
        tasks = fill(api)
        assert len(tasks) > 10

        redis.config_set("maxmemory", 1)  # what is on the way makes and takes some room
        for answer in every_change(api, open_task):
            assert is_unavailable(answer)
        for answer in every_read(api, open_task):
            assert answer.status_code == 200

        redis.config_set("maxmemory", 0)
        for task in tasks:
            assert api.get(f"/tasks/{task['id']}").json() == task
            eventually(partial(is_told, redis, notifications, task), within=60)
        eventually(lambda: api.post("/tasks", json={"title": "again"}).status_code == 201)


def is_told(redis: Redis, notifications: Client, task: dict[str, Any]) -> bool:
    """Return whether all changes of a task were announced, and its completion was notified once."""
    types = ["task.created", "task.completed"][: task["version"]]
    return (
        set(published_of(redis, task["id"])) == set(types)  # a retry may have announced it again
        and len(notified(notifications, task["id"])) == task["version"] - 1
    )
