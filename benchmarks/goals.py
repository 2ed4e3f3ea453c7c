"""The goals, and what a run made of each."""

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.growth import CREATE, LIST
from benchmarks.growth import GET as GET_ONE
from benchmarks.measurements import Growth, Results, Spread
from benchmarks.systems import DIRECT, EMPTY, NAIVE, OURS
from benchmarks.throughput import GET, POST, PUT, SAVE_ALONE

ROUTES = {
    POST: "`POST /tasks`",
    GET: "`GET /tasks/{id}`",
    PUT: "`PUT /tasks/{id}/status`",
}
# (work, comparator): how many times its throughput, on 16 and on 64 connections.
THROUGHPUT_GOALS = {
    (POST, NAIVE): 10.0,
    (POST, DIRECT): 1.0,
    (POST, EMPTY): 0.5,
    (GET, NAIVE): 9.0,
    (GET, DIRECT): 1.0,
    (PUT, NAIVE): 8.0,
    (PUT, DIRECT): 0.8,
}
LOADED = (16, 64)
MOST_MEGABYTES = 120.0
FLAT = 1.2


class Verdict(NamedTuple):
    """A goal and what was measured."""

    work: str
    measured: Spread
    unit: str
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        if self.at_least:
            return self.measured.median >= self.bound
        return self.measured.median <= self.bound

    @property
    def missed_by(self) -> float:
        """How far the median is from the goal, as a fraction of the goal; 0 where it is met."""
        return 0.0 if self.met else abs(self.measured.median / self.bound - 1)


def verdicts(results: Results) -> list[Verdict]:
    """Return a verdict for each goal that the run measured."""
    return [
        *_throughput(results),
        *_flow(results),
        *_outbox(results),
        *_growth(results),
        *_updates(results),
        *_memory(results),
        *_startup(results),
    ]


def _at_least(work: str, measured: Spread, bound: float, unit: str = "×") -> Verdict:
    return Verdict(work, measured, unit, bound, at_least=True)


def _at_most(work: str, measured: Spread, bound: float, unit: str = "×") -> Verdict:
    return Verdict(work, measured, unit, bound, at_least=False)


def _throughput(results: Results) -> Iterator[Verdict]:
    samples = results.throughput
    for (work, comparator), bound in THROUGHPUT_GOALS.items():
        for connections in LOADED:
            if samples.has(work, connections, OURS, comparator):
                yield _at_least(
                    f"{ROUTES[work]}, {connections} connections, against {comparator}",
                    samples.throughput_ratio(work, connections, OURS, comparator),
                    bound,
                )
    if samples.has(POST, 1, OURS) and samples.has(SAVE_ALONE, 1, NAIVE):
        yield _at_most(
            "`POST /tasks`, one connection, p50 against naive's save alone",
            Spread.of(
                [
                    mine.p50_ms / save.p50_ms
                    for mine, save in zip(
                        samples.of(POST, 1, OURS), samples.of(SAVE_ALONE, 1, NAIVE), strict=True
                    )
                ]
            ),
            1.5,
        )


def _flow(results: Results) -> Iterator[Verdict]:
    if (flow := results.flow) is None:
        return
    name = "create → complete → notification listed"
    yield _at_least(f"{name}, sustained", Spread.of(flow.sustained_per_second), 300, " a second")
    yield _at_most(
        f"{name}, at the end of that: until nothing is queued",
        Spread.of([flow.idle_after]),
        2,
        " s",
    )
    yield _at_most(
        f"{name}, p99 at {flow.open_rate} a second", Spread.of(flow.open_p99_ms), 250, " ms"
    )


def _outbox(results: Results) -> Iterator[Verdict]:
    if results.outbox is None:
        return
    ours, built_in = results.outbox.ours, results.outbox.built_in
    [drained] = built_in.drained_per_second
    yield _at_least(
        "announcing, against the built-in outbox",
        Spread.of([rate / drained for rate in ours.drained_per_second]),
        150,
    )
    for what, mine, theirs in (
        (f"{built_in.events} changes at once", ours.delays_ms, built_in.delays_ms),
        ("a lone change", ours.lone_delays_ms, built_in.lone_delays_ms),
    ):
        reference = Spread.of(theirs).median
        yield _at_most(
            f"delay of an event, {what}, against the built-in outbox",
            Spread.of([delay / reference for delay in mine]),
            1 / 50,
        )


def _growth(results: Results) -> Iterator[Verdict]:
    growth = results.growth
    if growth is None or not growth.points:
        return
    names = {CREATE: "create", GET_ONE: "get", LIST: "first page of the list"}
    for work in growth.works():
        for latency in (True, False):
            what = "p50" if latency else "time per request on 16 connections"
            yield _at_most(
                f"growth from {growth.sizes()[0]:,} to {growth.sizes()[-1]:,} tasks:"
                f" {names[work]}, {what}",
                _worst(growth, work, latency=latency),
                FLAT,
            )


def _worst(growth: Growth, work: str, *, latency: bool) -> Spread:
    """Return the slowness of the size that is slowest, against the smallest."""
    later = growth.sizes()[1:] or growth.sizes()
    return max(growth.against_smallest(work, size, latency=latency) for size in later)


def _updates(results: Results) -> Iterator[Verdict]:
    if len(results.updates) < 2:
        return
    first, *later = results.updates
    total = results.updates[-1].updates
    last = later[-1].relative_p50 / first.relative_p50
    all_later = [chunk.relative_p50 / first.relative_p50 for chunk in later]
    yield _at_most(
        f"updates of one task, the last of {total:,} against the first",
        Spread(last, min(all_later), max(all_later)),
        FLAT,
    )
    yield _at_most(
        f"its document, after {total:,} updates against {first.updates:,}",
        Spread.of([chunk.document_bytes / first.document_bytes for chunk in later]),
        1.05,
    )


def _memory(results: Results) -> Iterator[Verdict]:
    if results.growth is None:
        return
    for app_id in ("task-api", "notification-service"):
        if app_id in results.growth.megabytes:
            yield _at_most(
                f"memory of {app_id} with {results.growth.sizes()[-1]:,} tasks",
                Spread.of([results.growth.megabytes[app_id]]),
                MOST_MEGABYTES,
                " MB",
            )


def _startup(results: Results) -> Iterator[Verdict]:
    if results.startup_seconds:
        yield _at_most(
            "start to ready, everything cached", Spread.of(results.startup_seconds), 8, " s"
        )
