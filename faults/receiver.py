"""A subscriber to `task-events`: what it was sent, and when."""

import time
from typing import Any

from aiohttp import web
from pydantic_core import from_json

from faults.history import DELETED, Announcement, Change
from faults.load import Load

SOURCE = "task-api"
"""Who announces changes. What others publish is no announcement."""


class Receiver:
    """Receives single events on `POST /events`."""

    def __init__(self) -> None:
        self.received: list[Announcement] = []
        self.first_received: dict[tuple[str, int], float] = {}
        """The moment, by task and version."""
        self.deletions: dict[str, float] = {}
        """The moment a task's deletion was first received."""

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_post("/events", self._receive)
        return application

    def longest_delay(self, load: Load) -> float:
        """Return the longest time from an acknowledgement to the receipt of its event."""
        delays = [
            self.first_received[(each.change.task_id, each.change.version)] - each.at
            for each in load.acknowledged
            if (each.change.task_id, each.change.version) in self.first_received
        ]
        delays += [
            self.deletions[task_id] - at
            for task_id, at in load.deleted.items()
            if task_id in self.deletions
        ]
        return max(delays, default=0.0)

    async def _receive(self, request: web.Request) -> web.Response:
        moment = time.monotonic()
        try:
            event = from_json(await request.read())
        except ValueError:
            event = {}
        if event.get("source") != SOURCE:
            return web.json_response({"status": "SUCCESS"})
        announcement = Announcement(str(event["id"]), change_of(event["data"]))
        self.received.append(announcement)
        change = announcement.change
        self.first_received.setdefault((change.task_id, change.version), moment)
        if change.type == DELETED:
            self.deletions.setdefault(change.task_id, moment)
        return web.json_response({"status": "SUCCESS"})


def change_of(event: dict[str, Any]) -> Change:
    """Return the change that the data of an event tells of."""
    return Change(
        task_id=event["task_id"],
        version=event["version"],
        type=event["event_type"],
        title=event["title"],
        status=event["status"],
        priority=event["priority"],
        assignee=event["assignee"],
        due_at=event["due_at"],
        moment=event["timestamp"],
    )
