"""A client for what the load generator cannot do: a given number of requests, and their answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import aiohttp

from benchmarks.measurements import p99
from benchmarks.wrk import Refused

TASK = {"title": "Learn Dapr building blocks", "description": "A task to measure", "priority": 2}


class Timing(NamedTuple):
    """How long a row of requests took."""

    per_second: float
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, latencies: Sequence[float], seconds: float) -> "Timing":
        return cls(len(latencies) / seconds, 1000 * median(latencies), 1000 * p99(latencies))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
        yield session


async def ask(
    session: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> dict[str, Any]:
    """Return the JSON that is answered.

    Raises:
        Refused: the answer is an error.
    """
    async with session.request(method, path, json=body) as answer:
        if not answer.ok:
            raise Refused(f"{method} {path}: {answer.status} {await answer.text()}")
        said: dict[str, Any] = {} if answer.status == 204 else await answer.json()
        return said


async def all_of(count: int, concurrency: int, one: Callable[[int], Awaitable[None]]) -> Timing:
    """Do `one` for each number below `count`, some of them at once; return how long it took."""
    numbers = iter(range(count))
    latencies: list[float] = []

    async def go_on() -> None:
        for number in numbers:
            began = time.perf_counter()
            await one(number)
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(go_on() for _ in range(concurrency)))
    return Timing.of(latencies, time.perf_counter() - began)


async def create_tasks(url: str, count: int, concurrency: int = 32) -> list[str]:
    """Create tasks; return their ids."""
    ids: list[str] = []
    async with connected(url) as session:

        async def create(_: int) -> None:
            ids.append((await ask(session, "POST", "/tasks", TASK))["id"])

        await all_of(count, concurrency, create)
    return ids


def file_of_tasks(url: str, count: int, path: Path) -> Path:
    """Create tasks and write their ids to a file."""
    path.write_text("\n".join(asyncio.run(create_tasks(url, count))) + "\n")
    return path
