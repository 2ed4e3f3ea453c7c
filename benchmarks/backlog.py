"""What the services still have to announce, seen in the broker and not through them.

A write that is acknowledged fast and announced late would look good otherwise.
"""

import time
from typing import Any, NamedTuple, cast

from redis import Redis

EVENTS = "task-events"
DEAD_LETTERS = "task-events-dead"
PATIENCE_SECONDS = 60


class NeverAnnounced(Exception):
    """A change that was acknowledged was not announced."""


class Event(NamedTuple):
    published_at: int
    """In milliseconds since 1970, by the clock of Redis."""
    text: str


class Broker:
    """A broker, by the port of its Redis."""

    def __init__(self, redis_port: int) -> None:
        self._redis = Redis(port=redis_port, decode_responses=True)
        self._streams = [str(key) for key in self._redis.scan_iter(count=10_000, _type="stream")]

    def announced(self) -> int:
        """Return how many events were published so far."""
        return self._added(EVENTS)

    def dead_letters(self) -> int:
        return self._added(DEAD_LETTERS)

    def idle(self) -> bool:
        """Return whether every subscriber has handled everything."""
        for stream in self._streams:
            last = self._info(stream)["last-generated-id"]
            groups = self._redis.xinfo_groups(stream)
            if any(group["pending"] or group["last-delivered-id"] != last for group in groups):
                return False
        return True

    def wait_until_announced(self, count: int, after: str) -> float:
        """Wait until `count` events were published in all; return how many seconds it took.

        Args:
            after: names the changes in the error.

        Raises:
            NeverAnnounced: they were not.
        """
        began = time.monotonic()
        while (announced := self.announced()) < count:
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise NeverAnnounced(
                    f"After {after}, {count - announced} acknowledged changes of {count} are not on"
                    f" {EVENTS} within {PATIENCE_SECONDS} s."
                )
            time.sleep(0.01)
        return time.monotonic() - began

    def wait_until_idle(self) -> float:
        """Wait until every subscriber has handled everything; return how many seconds it took.

        Raises:
            NeverAnnounced: something is left, or went to the dead letters.
        """
        began = time.monotonic()
        while not self.idle():
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise NeverAnnounced(
                    f"Messages are still waiting in {', '.join(self._streams)} after"
                    f" {PATIENCE_SECONDS} s."
                )
            time.sleep(0.02)
        if dead := self.dead_letters():
            raise NeverAnnounced(f"{dead} messages went to {DEAD_LETTERS}.")
        return time.monotonic() - began

    def last_events(self, count: int, stream: str = EVENTS) -> list["Event"]:
        """Return the last events, oldest first."""
        entries = cast(list[tuple[str, dict[str, str]]], self._redis.xrevrange(stream, count=count))
        return [
            Event(int(entry_id.partition("-")[0]), fields.get("data", ""))
            for entry_id, fields in reversed(entries)
        ]

    def events(self, stream: str) -> int:
        """Return how many events were published on any stream so far."""
        return self._added(stream)

    def _added(self, stream: str) -> int:
        if not self._redis.exists(stream):
            return 0
        info = self._info(stream)
        # Redis before 7 does not count what was trimmed.
        return int(info.get("entries-added", info["length"]))

    def _info(self, stream: str) -> dict[str, Any]:
        return self._redis.xinfo_stream(stream)
