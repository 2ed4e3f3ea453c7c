"""What a browser makes of a stream of server-sent events."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

from httpx2 import Client, Response


class Event(NamedTuple):
    event: str
    id: str
    data: Any


class Stream:
    """An open stream.

    Attributes:
        last_id: what a browser would send as `Last-Event-ID`.
    """

    def __init__(self, response: Response, last_id: str) -> None:
        self.response = response
        self.last_id = last_id
        self._lines = response.iter_lines()

    def events(self) -> Iterator[Event]:
        """Yield the events until the stream ends."""
        event, data = "message", list[str]()
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                event = value
            elif name == "data":
                data.append(value)
            elif not line and data:
                yield Event(event, self.last_id, json.loads("\n".join(data)))
                event, data = "message", []

    def take(self, count: int) -> list[Event]:
        return list(islice(self.events(), count))

    def connected(self) -> None:
        """Return once the stream has begun."""
        assert next(self._lines) == ": connected"
        for line in self._lines:
            if line.startswith("id: "):
                self.last_id = line.removeprefix("id: ")
            if not line:
                return


@contextmanager
def follow(
    api: Client, path: str = "/notifications/stream", last_id: str = "", **query: str
) -> Iterator[Stream]:
    """Open a stream and wait until it has begun."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    with api.stream("GET", path, params=query, headers=headers, timeout=20) as response:
        assert response.status_code == 200, response.read()
        stream = Stream(response, last_id)
        stream.connected()
        yield stream
