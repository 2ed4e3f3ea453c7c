"""The guarantee while parts are killed: every stored change is announced, and nothing else is."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Client, HTTPError, Response
from redis import Redis

from tests.conftest import redis_of
from tests.eventually import eventually
from tests.published import published
from tools.local_system import LocalSystem

TASKS = 100
CLIENTS = 8
SETTLED_WITHIN = 90
"""Seconds: a message in hand at a kill comes again after the broker's processing timeout."""


class Stream:
    """500 changes: 100 tasks that are created, changed, started, completed, and then reopened or
    deleted in turns. Remembers what was acknowledged."""

    def __init__(self, system: LocalSystem) -> None:
        self.acknowledged: set[tuple[str, int]] = set()
        self.deleted: set[str] = set()
        self.progress = 0
        self._system = system

    def run(self) -> None:
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(self._life_of_a_task, range(TASKS)))

    def _life_of_a_task(self, number: int) -> None:
        with Client(base_url=self._system.url("task-api"), timeout=10) as client:
            key = {"Idempotency-Key": str(uuid4())}
            task = self._until_acknowledged(
                lambda: client.post("/tasks", json={"title": f"task {number}"}, headers=key)
            ).json()
            url = f"/tasks/{task['id']}"
            changes: list[Callable[[], Response]] = [
                lambda: client.patch(url, json={"priority": 5}),
                lambda: client.put(f"{url}/status", params={"status": "in_progress"}),
                lambda: client.put(f"{url}/status", params={"status": "completed"}),
            ]
            self._remember(task)
            for change in changes:
                self._remember(self._until_acknowledged(change).json())
            if number % 2:
                reopened = self._until_acknowledged(
                    lambda: client.put(f"{url}/status", params={"status": "pending"})
                )
                self._remember(reopened.json())
            else:
                # A deletion whose answer was lost is found done when it is tried again.
                self._until_acknowledged(lambda: client.delete(url), gone_is_fine=True)
                self.deleted.add(task["id"])
                self.progress += 1

    def _remember(self, task: dict[str, Any]) -> None:
        self.acknowledged.add((task["id"], task["version"]))
        self.progress += 1

    def _until_acknowledged(
        self, change: Callable[[], Response], *, gone_is_fine: bool = False
    ) -> Response:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                answer = change()
            except HTTPError:
                answer = Response(503)
            if answer.is_success or (gone_is_fine and answer.status_code == 404):
                return answer
            assert answer.status_code == 503, answer.text
            time.sleep(0.05)
        raise AssertionError("not acknowledged within a minute")


@contextmanager
def under_load(system: LocalSystem) -> Iterator[Stream]:
    """Run the stream of changes beside the body, and wait for its end."""
    stream = Stream(system)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            stream.run()
        except BaseException as failure:
            failures.append(failure)

    load = threading.Thread(target=run)
    load.start()
    try:
        yield stream
    finally:
        load.join()
    if failures:
        raise failures[0]


def stored_changes(redis: Redis) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the event of each change in the state store, by task id and version."""
    keys: Any = redis.keys("task-api||task-*")
    found = {}
    for key in keys:
        value: Any = redis.hget(key, "data")
        if value is None:
            continue  # a deleted task, removed since
        for change in json.loads(value)["history"]:
            event = change["event"]
            found[(event["task_id"], event["version"])] = event
    return found


def announced_changes(redis: Redis) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (event["data"]["task_id"], event["data"]["version"]): event["data"]
        for event in published(redis)
    }


def check_ledger(redis: Redis, stream: Stream) -> None:
    """Check the four rules on what is stored, announced and acknowledged."""

    def unannounced() -> set[tuple[str, int]]:
        wanted = stored_changes(redis).keys() | stream.acknowledged
        wanted |= {(task_id, 5) for task_id in stream.deleted}
        return wanted - announced_changes(redis).keys()

    eventually(lambda: not unannounced(), within=SETTLED_WITHIN)
    stored, announced = stored_changes(redis), announced_changes(redis)
    kept = {key for key in stream.acknowledged if key[0] not in stream.deleted}
    assert kept <= stored.keys(), "acknowledged and lost"
    phantoms = {key for key in announced if key[0] not in stream.deleted} - stored.keys()
    assert not phantoms, "announced and not stored"
    assert {key: announced[key] for key in stored} == stored, "announced otherwise than stored"
    for task_id in stream.deleted:
        versions = sorted(version for id, version in announced if id == task_id)
        assert versions == [1, 2, 3, 4, 5], "a deleted task announced otherwise than it was changed"
        assert announced[(task_id, 5)]["event_type"] == "task.deleted"


def check_notifications(system: LocalSystem, stream: Stream) -> None:
    """Check that each completed task was notified, and none twice."""
    completed = {task_id for task_id, version in stream.acknowledged if version == 4}
    with Client(base_url=system.url("notification-service")) as client:

        def notified() -> list[str]:
            found: list[str] = []
            cursor = None
            while True:
                query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
                page = client.get("/notifications", params=query).json()
                found += [notification["task_id"] for notification in page["items"]]
                cursor = page["next_cursor"]
                if cursor is None:
                    return found

        eventually(lambda: completed <= set(notified()), within=SETTLED_WITHIN)
        assert sorted(notified()) == sorted(completed)


@pytest.mark.parametrize(
    "victim",
    ["task-api", "sidecar of task-api", "notification-service", "sidecar of notification-service"],
)
def test_a_kill_under_500_changes_loses_and_invents_nothing(
    breakable: LocalSystem, victim: str
) -> None:
    moments = sorted(random.sample(range(20, 400), 3))
    app_id = victim.removeprefix("sidecar of ")
    with under_load(breakable) as stream:
        for moment in moments:
            eventually(lambda moment=moment: stream.progress >= moment, within=60)  # type: ignore[misc]
            process = breakable.sidecar(app_id) if victim != app_id else breakable.app(app_id)
            breakable.restart(process)
            breakable.wait_until_ready(app_id)
    with redis_of(breakable) as redis:
        check_ledger(redis, stream)
        check_notifications(breakable, stream)


def test_a_kill_of_redis_under_500_changes_loses_and_invents_nothing(
    breakable: LocalSystem,
) -> None:
    with under_load(breakable) as stream:
        eventually(lambda: stream.progress >= 100, within=60)
        breakable.kill_redis()
        time.sleep(1)
        breakable.start_redis()
    with redis_of(breakable) as redis:
        check_ledger(redis, stream)
        check_notifications(breakable, stream)
