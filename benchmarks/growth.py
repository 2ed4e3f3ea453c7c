"""Whether the cost of a request grows with what is stored."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from redis import Redis

from benchmarks import wrk
from benchmarks.backlog import Broker
from benchmarks.client import TASK, all_of, ask, connected, create_tasks
from benchmarks.measurements import Growth, GrowthPoint, UpdatesChunk
from benchmarks.systems import EMPTY, OURS, Target, running
from benchmarks.wrk import Request

CREATE, GET, LIST = "create", "get", "first page"
REQUESTS = {GET: Request("GET", "/tasks/{id}"), LIST: Request("GET", "/tasks?limit=50")}
CONNECTIONS = 16
# So few that they hardly add to the smallest size.
LONE_CREATES = 60
CREATES = 240
UPDATES_OF_EMPTY = 200
IDS = 500


def measure(
    folder: Path, *, sizes: Sequence[int], repeats: int, progress: Callable[[str], None]
) -> Growth:
    """Return what requests take with more and more tasks, and the memory with the most."""
    growth = Growth()
    with running(folder, (OURS, EMPTY)) as targets:
        target, empty = targets[OURS], targets[EMPTY]
        assert target.redis_port
        broker = Broker(target.redis_port)
        ids: list[str] = []
        stored = 0
        for size in sizes:
            ids += asyncio.run(create_tasks(target.url, max(0, size - stored)))
            broker.wait_until_idle()
            some = folder / "growth.ids"
            # From all over the store, old and new ones.
            some.write_text("\n".join(ids[:: max(1, len(ids) // IDS)]) + "\n")
            stored = max(size, stored)
            for repeat in range(1, repeats + 1):
                for work in (CREATE, GET, LIST):
                    growth.points.append(_point(work, target, empty, some, size, repeat))
                broker.wait_until_idle()
                stored += LONE_CREATES + CREATES
            progress(f"{size} tasks")
        growth.megabytes = target.megabytes()
    return growth


def _point(
    work: str, target: Target, empty: Target, ids: Path, tasks: int, repeat: int
) -> GrowthPoint:
    if work == CREATE:
        lone, many = asyncio.run(_creates(target.url))
        empty_lone, empty_many = asyncio.run(_creates(empty.url))
        return GrowthPoint(
            tasks=tasks,
            work=work,
            repeat=repeat,
            p50_ms=lone,
            per_second=many,
            empty_p50_ms=empty_lone,
            empty_per_second=empty_many,
        )
    measured = []
    for url, request in ((target.url, REQUESTS[work]), (empty.url, REQUESTS[GET])):
        file = ids if "{id}" in request.path else None
        bursts = [wrk.run(url, request, at_once, 1, file) for at_once in (1, CONNECTIONS)]
        for burst in bursts:
            burst.refuse_errors(request, url)
        measured.append(bursts)
    (lone_burst, burst), (empty_lone_burst, empty_burst) = measured
    return GrowthPoint(
        tasks=tasks,
        work=work,
        repeat=repeat,
        p50_ms=lone_burst.p50_ms,
        per_second=burst.per_second,
        empty_p50_ms=empty_lone_burst.p50_ms,
        empty_per_second=empty_burst.per_second,
    )


async def _creates(url: str) -> tuple[float, float]:
    """Return the median latency of single creates, and how many a second are made at once."""
    async with connected(url) as session:

        async def create(_: int) -> None:
            await ask(session, "POST", "/tasks", TASK)

        lone = await all_of(LONE_CREATES, 1, create)
        many = await all_of(CREATES, CONNECTIONS, create)
    return lone.p50_ms, many.per_second


def measure_updates(
    folder: Path, *, updates: int, chunks: int, progress: Callable[[str], None]
) -> list[UpdatesChunk]:
    """Update one task many times, one after the other; return each row of updates."""
    measured = []
    with running(folder, (OURS, EMPTY)) as targets:
        target, empty = targets[OURS], targets[EMPTY]
        [task_id] = asyncio.run(create_tasks(target.url, 1))
        for chunk in range(1, chunks + 1):
            measured.append(asyncio.run(_updates(target, empty, task_id, updates // chunks, chunk)))
        assert target.redis_port
        Broker(target.redis_port).wait_until_idle()
    progress(f"{updates} updates of one task")
    return measured


async def _updates(
    target: Target, empty: Target, task_id: str, count: int, chunk: int
) -> UpdatesChunk:
    async with connected(target.url) as session, connected(empty.url) as beside:

        async def update(number: int) -> None:
            title = f"Edition {chunk * count + number:09}"  # all of one length
            await ask(session, "PATCH", f"/tasks/{task_id}", {"title": title})

        async def update_nothing(_: int) -> None:
            await ask(beside, "PUT", f"/tasks/{task_id}/status?status=pending")

        timing = await all_of(count, 1, update)
        reference = await all_of(UPDATES_OF_EMPTY, 1, update_nothing)
    return UpdatesChunk(
        updates=chunk * count,
        per_second=timing.per_second,
        p50_ms=timing.p50_ms,
        p99_ms=timing.p99_ms,
        empty_p50_ms=reference.p50_ms,
        document_bytes=_document_bytes(target, task_id),
    )


def _document_bytes(target: Target, task_id: str) -> int:
    """Return the bytes of all that task-api stores under keys with the task's id."""
    assert target.redis_port
    with Redis(port=target.redis_port, decode_responses=True) as redis:
        keys = list(redis.scan_iter(f"task-api||*{task_id}*", count=1_000))
        return sum(len(json.dumps(redis.hgetall(key))) for key in keys)
