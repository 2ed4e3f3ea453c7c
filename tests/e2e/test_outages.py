"""Parts that are away: 503, nothing half done, and nothing forgotten once they are back."""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import Any

import pytest
from httpx2 import Client, HTTPError, Response
from redis import Redis

from tests.conftest import redis_of
from tests.contract.test_task_api_http import create, is_problem
from tests.e2e.test_flow import complete, notified
from tests.eventually import eventually
from tests.published import published, published_of
from tools.local_system import LocalSystem


def every_change(api: Client, task: dict[str, Any]) -> list[Response]:
    url = f"/tasks/{task['id']}"
    return [
        api.post("/tasks", json={"title": "during the outage"}),
        api.put(url, json={"title": "during the outage"}),
        api.patch(url, json={"title": "during the outage"}),
        api.put(f"{url}/status", params={"status": "completed"}),
        api.delete(url),
    ]


def every_read(api: Client, task: dict[str, Any]) -> list[Response]:
    url = f"/tasks/{task['id']}"
    return [api.get(url), api.get(f"{url}/history"), api.get("/tasks"), api.get("/health/ready")]


def is_unavailable(answer: Response) -> bool:
    assert is_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    return True


@pytest.fixture
def api(breakable: LocalSystem) -> Iterator[Client]:
    with Client(base_url=breakable.url("task-api"), timeout=30) as client:
        yield client


def nothing_was_done(api: Client, redis: Redis, task: dict[str, Any]) -> bool:
    """Return whether `task` is as it was, alone, and nothing was announced but its creation."""
    assert api.get(f"/tasks/{task['id']}").json() == task
    assert api.get("/tasks").json()["items"] == [task]
    assert published_of(redis, task["id"]) == ["task.created"]
    return True


def test_without_redis_every_request_is_503_and_nothing_is_half_done(
    breakable: LocalSystem, api: Client
) -> None:
    task = create(api)
    breakable.kill_redis()
    for answer in every_change(api, task) + every_read(api, task):
        assert is_unavailable(answer)
    assert api.get("/health").status_code == 200
    breakable.start_redis()
    eventually(lambda: api.get("/health/ready").status_code == 200, within=30)
    with redis_of(breakable) as redis:
        eventually(lambda: published_of(redis, task["id"]))
        assert nothing_was_done(api, redis, task)
        eventually(lambda: api.post("/tasks", json={"title": "again"}).status_code == 201)


def test_without_a_broker_changes_are_503_and_nothing_is_half_done(
    breakable: LocalSystem, api: Client
) -> None:
    task = create(api)
    with redis_of(breakable) as redis:
        eventually(lambda: published_of(redis, task["id"]))
        redis.execute_command("ACL SETUSER", "default", "-xadd")
        for answer in every_change(api, task):
            assert is_unavailable(answer)
        assert [answer.status_code for answer in every_read(api, task)] == [200] * 4
        redis.execute_command("ACL SETUSER", "default", "+xadd")
        assert nothing_was_done(api, redis, task)
        eventually(lambda: api.post("/tasks", json={"title": "again"}).status_code == 201)


def test_without_a_store_changes_are_503_and_nothing_is_announced(
    breakable: LocalSystem, api: Client
) -> None:
    task = create(api)
    with redis_of(breakable) as redis:
        eventually(lambda: published_of(redis, task["id"]))
        redis.execute_command("ACL SETUSER", "default", "-eval")
        for answer in every_change(api, task):
            assert is_unavailable(answer)
        redis.execute_command("ACL SETUSER", "default", "+eval")
        assert nothing_was_done(api, redis, task)
        eventually(lambda: api.post("/tasks", json={"title": "again"}).status_code == 201)
        later = api.get("/tasks").json()["items"][0]
        eventually(lambda: published_of(redis, later["id"]) == ["task.created"])


def test_without_a_sidecar_every_request_is_503_and_works_again_with_one(
    breakable: LocalSystem, api: Client
) -> None:
    task = create(api)
    breakable.restart_after(breakable.sidecar("task-api"), lambda: _all_unavailable(api, task))
    eventually(lambda: api.get("/health/ready").status_code == 200, within=30)
    with redis_of(breakable) as redis:
        eventually(lambda: published_of(redis, task["id"]), within=60)
        assert nothing_was_done(api, redis, task)


def _all_unavailable(api: Client, task: dict[str, Any]) -> None:
    for answer in every_change(api, task) + every_read(api, task):
        assert is_unavailable(answer)
    assert api.get("/health").status_code == 200


def test_notifications_arrive_when_notification_service_is_back_after_a_minute(
    breakable: LocalSystem, api: Client
) -> None:
    completed = [create(api)["id"] for _ in range(100)]

    def meanwhile() -> None:
        for task_id in completed:
            complete(api, task_id)
        time.sleep(60)
        with redis_of(breakable) as redis:
            later = create(api)
            eventually(lambda: published_of(redis, later["id"]), within=2)

    breakable.restart_after(breakable.app("notification-service"), meanwhile)
    with Client(base_url=breakable.url("notification-service")) as notifications:
        for task_id in completed:
            eventually(lambda task_id=task_id: _notified(notifications, task_id), within=30)  # type: ignore[misc]
        time.sleep(20)  # longer than the broker waits to deliver again
        assert [len(notified(notifications, task_id)) for task_id in completed] == [1] * 100
        assert notifications.get("/dead-letters").json()["items"] == []


OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "20"))


@pytest.mark.parametrize("part", ["task-api", "notification-service", "Redis"])
def test_an_outage_under_load_ends_with_no_dead_letter(breakable: LocalSystem, part: str) -> None:
    """Also where a sidecar gives up and sends what it tried too long to the dead-letter topic."""
    with _Load(breakable) as load:
        time.sleep(1)
        if part == "Redis":
            breakable.kill_redis()
            time.sleep(OUTAGE_SECONDS)
            breakable.start_redis()
            _give_up_on_all(breakable)
        else:
            breakable.restart_after(breakable.app(part), lambda: _outage(breakable))
        for app_id in breakable.ports.apps:
            breakable.wait_until_ready(app_id)
        time.sleep(1)
    assert len(load.completed) > 20
    with Client(base_url=breakable.url("notification-service")) as notifications:
        for task_id in load.completed:
            eventually(lambda task_id=task_id: _notified(notifications, task_id), within=60)  # type: ignore[misc]
        time.sleep(5)  # what would come twice, or be refused, has come by then
        assert [len(notified(notifications, each)) for each in load.completed] == [1] * len(
            load.completed
        )
        assert notifications.get("/dead-letters").json()["items"] == []


def _outage(system: LocalSystem) -> None:
    time.sleep(OUTAGE_SECONDS)
    _give_up_on_all(system)


class _Load:
    """Clients that create and complete tasks, whatever they are answered."""

    def __init__(self, system: LocalSystem) -> None:
        self.completed: list[str] = []
        """Ids of the tasks whose completion was acknowledged."""
        self._url = system.url("task-api")
        self._ends = Event()
        self._clients = ThreadPoolExecutor(2)

    def __enter__(self) -> "_Load":
        for _ in range(2):
            self._clients.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._clients.shutdown()

    def _run(self) -> None:
        while not self._ends.is_set():
            with suppress(HTTPError, AssertionError), Client(base_url=self._url) as api:
                while not self._ends.wait(0.02):
                    task_id = create(api)["id"]
                    complete(api, task_id)
                    self.completed.append(task_id)
            self._ends.wait(0.1)


def _give_up_on_all(system: LocalSystem) -> None:
    """Do as runtimes later than 1.18 with what was retried for too long."""
    with redis_of(system) as redis:
        for event in published(redis)[-100:]:
            redis.xadd("task-events-dead", {"data": json.dumps(event)})


def _notified(notifications: Client, task_id: str) -> bool:
    try:
        answer = notifications.get("/notifications", params={"task_id": task_id})
    except HTTPError:
        return False
    return answer.is_success and bool(answer.json()["items"])


def test_bursts_of_refusals_do_not_open_the_breaker_of_notify(
    system: LocalSystem, tasks: Client, notifications: Client, redis: Redis
) -> None:
    sidecar = f"http://127.0.0.1:{system.ports.apps['task-api']['daprHTTPPort']}"
    token = {"dapr-api-token": system.tokens["dapr-api-token"]}
    with Client(
        base_url=f"{sidecar}/v1.0/invoke/notification-service/method", headers=token
    ) as invoke:
        # Each method has a breaker of its own. That of this one may open.
        assert {invoke.get("/no-such-method").status_code for _ in range(100)} <= {404, 500}
        # 409: a dead letter that is no event cannot be replayed.
        redis.xadd("task-events-dead", {"data": "no event"})
        (letter,) = eventually(lambda: _letters(notifications, "no event"))
        replay = f"/dead-letters/{letter['id']}/replay"
        assert {invoke.post(replay).status_code for _ in range(100)} <= {409, 500}
        notifications.delete(f"/dead-letters/{letter['id']}")
    for _ in range(100):
        assert tasks.get("/tasks/no-such-task").status_code == 404
    contended = create(tasks)
    with ThreadPoolExecutor(20) as clients:
        stale = {"If-Match": '"0"'}
        answers = clients.map(
            lambda _: tasks.delete(f"/tasks/{contended['id']}", headers=stale), range(100)
        )
        assert {answer.status_code for answer in answers} == {412}
    task = create(tasks)
    complete(tasks, task["id"])
    eventually(lambda: notified(notifications, task["id"]), within=1)


def _letters(notifications: Client, payload: str) -> list[dict[str, Any]]:
    letters = notifications.get("/dead-letters", params={"limit": 100}).json()["items"]
    return [letter for letter in letters if letter["payload"] == payload]


def test_tasks_survive_a_restart_of_everything(breakable: LocalSystem) -> None:
    with Client(base_url=breakable.url("task-api"), timeout=30) as api:
        task = create(api)
        breakable.stop()
        breakable.start()
        assert api.get(f"/tasks/{task['id']}").json() == task
        assert api.get("/tasks").json()["items"] == [task]


@pytest.mark.parametrize("app_id", ["task-api", "notification-service"])
def test_another_program_on_the_machine_cannot_invoke_notify_through_a_sidecar(
    system: LocalSystem, app_id: str
) -> None:
    port = system.ports.apps[app_id]["daprHTTPPort"]
    url = f"http://127.0.0.1:{port}/v1.0/invoke/notification-service/method/notify"
    with Client() as client:
        answer = client.post(
            url,
            json={"type": "t", "task_id": "a", "message": "m"},
            headers={"dapr-caller-app-id": "task-api"},
        )
    assert answer.status_code == 401


def test_notification_service_cannot_invoke_notify_itself(system: LocalSystem) -> None:
    port = system.ports.apps["notification-service"]["daprHTTPPort"]
    url = f"http://127.0.0.1:{port}/v1.0/invoke/notification-service/method/notify"
    with Client(headers={"dapr-api-token": system.tokens["dapr-api-token"]}) as client:
        answer = client.post(url, json={"type": "t", "task_id": "a", "message": "m"})
    assert is_problem(answer, 403)
