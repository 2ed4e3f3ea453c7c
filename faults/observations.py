"""What can be seen of a system from outside its services: the store, the logs, the lists."""

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from faults.history import Notification, StoredTask
from faults.receiver import change_of

if TYPE_CHECKING:  # what runs in a cluster has no client of Redis
    from redis import Redis

DOCUMENTS = "task-api||task-"
DELIVERED = "notification_delivered"
NOTIFICATION_ID = re.compile(r"\bnotification_id[=\": ]+(\w+)")
AT_ONCE = 500


def stored_tasks(redis: "Redis", *, but: Collection[str] = ()) -> dict[str, StoredTask]:
    """Return the tasks in the store, by id, without those in `but`."""
    keys = [
        key
        for key in redis.scan_iter(f"{DOCUMENTS}*", count=10_000)
        if key.removeprefix(DOCUMENTS) not in but
    ]
    found = {}
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        pipeline = redis.pipeline(transaction=False)
        for key in some:
            pipeline.hget(key, "data")
        for key, value in zip(some, pipeline.execute(), strict=True):
            if task := stored_task(value):
                found[key.removeprefix(DOCUMENTS)] = task
    return found


def stored_task(value: str | None) -> StoredTask | None:
    """Return the task of a document, or None where it is gone or holds an unused id."""
    document = json.loads(value) if value else {}
    if not document.get("task"):
        return None
    changes = tuple(change_of(change["event"]) for change in document["history"])
    return StoredTask(document["deleted"], changes)


async def listed_notifications(
    session: aiohttp.ClientSession, url: str, known: Collection[str] = ()
) -> list[Notification]:
    """Return what GET /notifications lists, newest first, up to a page that is `known` by id."""
    found: list[Notification] = []
    query = {"limit": "100"}
    while True:
        async with session.get(f"{url}/notifications", params=query) as answer:
            answer.raise_for_status()
            page: dict[str, Any] = await answer.json()
        fresh = [
            Notification(each["id"], each["task_id"], each["message"], each["created_at"])
            for each in page["items"]
        ]
        found += fresh
        if page["next_cursor"] is None or (
            fresh and known and all(each.id in known for each in fresh)
        ):
            return found
        query["cursor"] = page["next_cursor"]


async def dead_letters(session: aiohttp.ClientSession, url: str) -> list[str]:
    """Return why messages could not be handled, for the newest 100 of those."""
    async with session.get(f"{url}/dead-letters", params={"limit": "100"}) as answer:
        answer.raise_for_status()
        page = await answer.json()
    return [f"dead letter: {letter['reason']}" for letter in page["items"]]


def logged_deliveries(logs: Path) -> Iterator[str]:
    """Yield the notification's id of each delivery that the logs tell of."""
    for log in sorted(logs.glob("*.log")):
        with log.open(errors="replace") as lines:
            for line in lines:
                if DELIVERED in line and (match := NOTIFICATION_ID.search(line)):
                    yield match[1]
