"""The routes under load: ours against the comparators, interleaved, round after round."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import wrk
from benchmarks.backlog import Broker
from benchmarks.client import TASK, all_of, ask, connected, file_of_tasks
from benchmarks.measurements import Sample
from benchmarks.systems import NAIVE, SYSTEMS, Target, running
from benchmarks.wrk import Burst, Request

POST, GET, PUT, SAVE_ALONE = "post", "get", "put", "save-alone"
REQUESTS = {
    POST: Request("POST", "/tasks", json.dumps(TASK)),
    GET: Request("GET", "/tasks/{id}"),
    PUT: Request("PUT", "/tasks/{id}/status?status={status}"),
    SAVE_ALONE: Request("POST", "/save-alone", json.dumps(TASK)),
}
WRITES = (POST, PUT)
# Updates are of different tasks as long as these are more than the connections.
TASKS = 1_000
FINISHING_CONNECTIONS = 16
# As in wrk.lua.
STATUSES = ("in_progress", "pending")


def measure(
    works: Sequence[str],
    folder: Path,
    *,
    connections: Sequence[int],
    rounds: int,
    seconds: int,
    systems: Sequence[str] = SYSTEMS,
    tasks: int = TASKS,
    progress: Callable[[str], None],
) -> Iterator[Sample]:
    """Yield a sample of each cell, round after round, the systems in turning order."""
    with running(folder, systems) as targets:
        loads = {
            name: Load(target, folder / f"{name}.ids", tasks) for name, target in targets.items()
        }
        for load in loads.values():
            for work in works:
                load.sample(work, 1, 1, 0)  # the first requests make connections
        for round in range(1, rounds + 1):
            for place, (work, at_once) in enumerate(
                (work, at_once) for work in works for at_once in connections
            ):
                turn = (round + place) % len(systems)
                for name in (*systems[turn:], *systems[:turn]):
                    yield loads[name].sample(work, at_once, seconds, round)
                    if name == NAIVE and work == POST and at_once == 1:
                        yield loads[name].sample(SAVE_ALONE, at_once, seconds, round)
            progress(f"round {round} of {rounds}")


class Load:
    """Bursts of requests to one system, and what they cost it."""

    def __init__(self, target: Target, ids: Path, tasks: int = TASKS) -> None:
        self._target = target
        self._ids = file_of_tasks(target.url, tasks, ids)
        self._next_update = 0
        self._broker = Broker(target.redis_port) if target.redis_port else None
        if self._broker:
            self._broker.wait_until_idle()

    def sample(self, work: str, connections: int, seconds: int, round: int) -> Sample:
        """Run a burst, wait until nothing is left of it, and return what it was."""
        cpu_before = self._target.cpu_seconds()
        announced_before = self._broker.announced() if self._broker else 0
        burst = self.run(work, connections, seconds)
        ended = time.monotonic()
        not_announced, announced_after, idle_after = 0, 0.0, 0.0
        if self._broker and work in WRITES:
            successes = burst.requests - burst.errors.get("status", 0)
            wanted = announced_before + successes
            not_announced = max(0, wanted - self._broker.announced())
            self._broker.wait_until_announced(wanted, f"{work} on {connections} connections")
            announced_after = time.monotonic() - ended
            self._broker.wait_until_idle()
            idle_after = time.monotonic() - ended
        spent = {
            part: seconds - cpu_before[part] for part, seconds in self._target.cpu_seconds().items()
        }
        spent["load generator"] = burst.cpu_seconds
        if work == PUT and self._broker:
            self._finish_updates(self._broker)
        return Sample(
            work=work,
            connections=connections,
            system=self._target.name,
            round=round,
            requests=burst.requests,
            per_second=burst.per_second,
            p50_ms=burst.p50_ms,
            p99_ms=burst.p99_ms,
            errors=burst.errors,
            cpu_ms={part: 1000 * each / max(1, burst.requests) for part, each in spent.items()},
            not_announced=not_announced,
            announced_after=announced_after,
            idle_after=idle_after,
        )

    def run(self, work: str, connections: int, seconds: int) -> Burst:
        request = REQUESTS[work]
        ids = self._ids if "{id}" in request.path else None
        first = self._next_update if work == PUT else 0
        burst = wrk.run(self._target.url, request, connections, seconds, ids, first)
        if work == PUT:
            self._next_update = burst.next_number
        return burst

    def _finish_updates(self, broker: Broker) -> None:
        """Make the updates that the load generator cut off when its time was over.

        Or the next burst would set statuses that the tasks have already, which announces nothing.
        """
        ids = self._ids.read_text().split()
        first = max(0, self._next_update - len(ids))

        async def finish() -> None:
            async with connected(self._target.url) as session:

                async def update(place: int) -> None:
                    turn, index = divmod(first + place, len(ids))
                    status = STATUSES[turn % len(STATUSES)]
                    await ask(session, "PUT", f"/tasks/{ids[index]}/status?status={status}")

                await all_of(self._next_update - first, FINISHING_CONNECTIONS, update)

        asyncio.run(finish())
        broker.wait_until_idle()
