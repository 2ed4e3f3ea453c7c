"""The whole flow: create, complete, notification listed.

One poller looks at the list of all notifications, not one for each task: the client shares its
cores with the services.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from benchmarks.backlog import Broker, NeverAnnounced
from benchmarks.client import TASK, ask, connected
from benchmarks.measurements import Flow, p99
from tools.local_system import LocalSystem

AT_ONCE = 128
OPEN_RATE = 50
WINDOWS = 5
# Between two looks: seldom under full load, where only the number counts.
SUSTAINED_PAUSE = 0.05
OPEN_PAUSE = 0.005
PATIENCE_SECONDS = 30
PAGE = 100


def measure(folder: Path, *, seconds: int, progress: Callable[[str], None]) -> Flow:
    with LocalSystem.for_test(folder) as system:
        broker = Broker(system.ports.redis)
        # The first requests make connections.
        asyncio.run(_with_clients(system, lambda flows: flows.sustained(1)))
        sustained = asyncio.run(_with_clients(system, lambda flows: flows.sustained(seconds)))
        ended = time.monotonic() - sustained.idle_for
        broker.wait_until_idle()
        idle_after = time.monotonic() - ended
        progress(
            f"{len(sustained.finished)} flows, all listed and handled {idle_after:.2f} s later"
        )
        opened = asyncio.run(_with_clients(system, lambda flows: flows.at_rate(seconds)))
        broker.wait_until_idle()
        progress(f"{len(opened.finished)} flows at {OPEN_RATE} a second")
    whole = _windows(opened.begun_and_took, seconds)
    from_completion = [took for _, took in opened.from_completion]
    return Flow(
        sustained_per_second=[
            count / (seconds / WINDOWS) for count in _counts(sustained.finished, seconds)
        ],
        sustained_flows=len(sustained.finished),
        at_once=AT_ONCE,
        idle_after=idle_after,
        open_rate=OPEN_RATE,
        open_flows=len(opened.finished),
        open_p50_ms=[1000 * median(window) for window in whole],
        open_p99_ms=[1000 * p99(window) for window in whole],
        from_completion_p50_ms=1000 * median(from_completion),
        from_completion_p99_ms=1000 * p99(from_completion),
        resolution_ms=1000 * median(opened.gaps),
    )


class Flows:
    """Flows under way, and those finished; all times are seconds since the load began."""

    def __init__(self, tasks: aiohttp.ClientSession, notifications: aiohttp.ClientSession) -> None:
        self._tasks = tasks
        self._notifications = notifications
        self._listed: dict[str, asyncio.Event] = {}
        self._began = time.perf_counter()
        self.finished: list[float] = []
        """When each flow of the load ended."""
        self.begun_and_took: list[tuple[float, float]] = []
        self.from_completion: list[tuple[float, float]] = []
        self.gaps: list[float] = []
        self.idle_for = 0.0
        """Seconds from the end of the load until the last notification was listed."""

    async def sustained(self, seconds: int) -> "Flows":
        """Begin a flow whenever one ends, for some seconds."""

        async def go_on() -> None:
            while self._now() < seconds:
                await self._flow(self._now())

        await self._polling(SUSTAINED_PAUSE, [go_on() for _ in range(AT_ONCE)], seconds)
        return self

    async def at_rate(self, seconds: int) -> "Flows":
        """Begin flows at a fixed rate, for some seconds."""

        async def at(due: float) -> None:
            await asyncio.sleep(max(0, due - self._now()))
            await self._flow(due)

        flows = [at(number / OPEN_RATE) for number in range(seconds * OPEN_RATE)]
        await self._polling(OPEN_PAUSE, flows, seconds)
        return self

    async def _polling(
        self, pause: float, flows: list[Coroutine[Any, Any, None]], seconds: int
    ) -> None:
        poller = asyncio.create_task(self._poll(pause))
        working = asyncio.create_task(_all(flows))
        try:
            done, _ = await asyncio.wait({poller, working}, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            poller.cancel()
            working.cancel()
            await asyncio.gather(poller, working, return_exceptions=True)
        self.idle_for = max(0.0, self._now() - seconds)

    async def _flow(self, due: float) -> None:
        task_id = (await ask(self._tasks, "POST", "/tasks", TASK))["id"]
        listed = self._listed[task_id] = asyncio.Event()
        completing = self._now()
        await ask(self._tasks, "PUT", f"/tasks/{task_id}/status?status=completed")
        try:
            await asyncio.wait_for(listed.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            page = await ask(self._notifications, "GET", f"/notifications?task_id={task_id}")
            if not page["items"]:
                raise NeverAnnounced(
                    f"Task {task_id} was completed {PATIENCE_SECONDS} s ago, and its notification"
                    " is not listed."
                ) from None
        ended = self._now()
        self.finished.append(ended)
        self.begun_and_took.append((due, ended - due))
        self.from_completion.append((completing, ended - completing))

    async def _poll(self, pause: float) -> None:
        looked = self._now()
        while True:
            await self._look()
            await asyncio.sleep(pause)
            self.gaps.append(self._now() - looked)
            looked = self._now()

    async def _look(self) -> None:
        """Look at the newest notifications, as far back as all of them are news."""
        path = f"/notifications?limit={PAGE}"
        while True:
            page = await ask(self._notifications, "GET", path)
            waiting = [self._listed.pop(item["task_id"], None) for item in page["items"]]
            for listed in waiting:
                if listed:
                    listed.set()
            if None in waiting or page["next_cursor"] is None:
                return
            path = f"/notifications?limit={PAGE}&cursor={page['next_cursor']}"

    def _now(self) -> float:
        return time.perf_counter() - self._began


async def _with_clients(
    system: LocalSystem, load: Callable[[Flows], Coroutine[Any, Any, Flows]]
) -> Flows:
    async with (
        connected(system.url("task-api")) as tasks,
        connected(system.url("notification-service")) as notifications,
    ):
        return await load(Flows(tasks, notifications))


async def _all(flows: list[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for flow in flows:
            group.create_task(flow)


def _counts(moments: list[float], seconds: float) -> list[int]:
    """Return how many of the moments are in each window; those after the last are in none."""
    width = seconds / WINDOWS
    counts = [0] * WINDOWS
    for moment in moments:
        if moment < seconds:
            counts[int(moment / width)] += 1
    return counts


def _windows(begun_and_took: list[tuple[float, float]], seconds: float) -> list[list[float]]:
    windows: list[list[float]] = [[] for _ in range(WINDOWS)]
    for begun, took in begun_and_took:
        windows[min(WINDOWS - 1, int(begun / (seconds / WINDOWS)))].append(took)
    return windows
