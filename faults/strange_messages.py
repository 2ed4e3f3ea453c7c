"""Messages that nobody means to send, each of which has to become one dead letter."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import aiohttp
from redis import Redis

TOPICS = ("task-events", "task-events", "task-changes", "task-events-dead")
KEPT_WITHIN_SECONDS = 30
CREATED = {"specversion": "1.0", "source": "nobody", "type": "task.created", "data": {}}


class StrangeMessages:
    """Publishes strange messages past the services, and finds each again as a dead letter."""

    def __init__(self, redis_port: int, notifications_url: str, chance: random.Random) -> None:
        self._redis_port = redis_port
        self._letters_url = f"{notifications_url}/dead-letters"
        self._chance = chance
        self._numbers = count(1)
        self._sent = 0

    def send(self, number: int) -> None:
        """Publish some messages at once, each to one topic or another."""
        with Redis(port=self._redis_port) as redis:
            pipeline = redis.pipeline(transaction=False)
            for _ in range(number):
                shape = self._chance.choice(list(_shapes(next(self._numbers))))
                pipeline.xadd(self._chance.choice(TOPICS), {"data": shape})
            pipeline.execute()
        self._sent += number

    async def missed(self) -> list[str]:
        """Discard the dead letters of what was sent; say how many there are too few or too many."""
        sent, self._sent = self._sent, 0
        deadline = time.monotonic() + KEPT_WITHIN_SECONDS
        discarded = 0
        async with aiohttp.ClientSession() as session:
            while sent and time.monotonic() < deadline and discarded < sent:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.delete(self._letters_url) as answer:
                        discarded += (await answer.json())["count"] if answer.ok else 0
                await asyncio.sleep(0.1)
        if discarded == sent:
            return []
        return [f"{sent} strange messages became {discarded} dead letters"]


def _shapes(number: int) -> Iterator[bytes]:
    """Yield messages of all shapes, which no other number yields."""
    event = {**CREATED, "id": f"strange {number}"}
    yield f"no event {number}".encode()
    yield b"\xff\x00 %d" % number
    yield json.dumps({"hello": number}).encode()
    yield json.dumps({**event, "time": "9999-12-31T23:59:59-01:00"}).encode()
    yield json.dumps({**event, "time": "0001-01-01T00:00:00+01:00"}).encode()
    yield json.dumps({**event, "data": {"event_type": [], "task_id": {}}}).encode()
    yield json.dumps({**event, "data": float("nan")}).encode()
    yield json.dumps({**event, "data": None, "data_base64": "AAAA"}).encode()
    yield json.dumps({**event, "data": "\ud800\0"}).encode()
    yield json.dumps({**event, "data": "<" * 300_000}).encode()
    yield json.dumps(event).encode("utf-16")
    for data in (b"[" * 300 + b"]" * 300, b"[" * 9_990 + b"]" * 9_990, b"7" * 5_000, b"1e400"):
        yield json.dumps({**event, "data": "@"}).encode().replace(b'"@"', data)
