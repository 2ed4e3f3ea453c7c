"""What a run measured, as it is kept in docs/performance.json."""

from collections.abc import Sequence
from statistics import median, quantiles
from typing import NamedTuple

from pydantic import BaseModel


def p99(values: Sequence[float]) -> float:
    """Return the value that one in a hundred is above."""
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]


class Spread(NamedTuple):
    """The median of some rounds, and between what they were."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


class Sample(BaseModel):
    """One short closed loop against one system."""

    work: str
    connections: int
    system: str
    round: int
    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: dict[str, int] = {}
    cpu_ms: dict[str, float] = {}
    """CPU time of each part per request, until everything was announced and handled."""
    not_announced: int = 0
    """Acknowledged changes whose event was still to come at the end of the loop."""
    announced_after: float = 0
    """Seconds from the end of the loop until they were announced."""
    idle_after: float = 0
    """Seconds from the end of the loop until every subscriber had handled everything."""


class Samples(BaseModel):
    """The short closed loops of a run."""

    samples: list[Sample] = []

    def of(self, work: str, connections: int, system: str) -> list[Sample]:
        """Return the samples of one cell, by round."""
        found = [
            sample
            for sample in self.samples
            if (sample.work, sample.connections, sample.system) == (work, connections, system)
        ]
        return sorted(found, key=lambda sample: sample.round)

    def has(self, work: str, connections: int, *systems: str) -> bool:
        return all(self.of(work, connections, system) for system in systems)

    def per_second(self, work: str, connections: int, system: str) -> Spread:
        return Spread.of([sample.per_second for sample in self.of(work, connections, system)])

    def p50_ms(self, work: str, connections: int, system: str) -> Spread:
        return Spread.of([sample.p50_ms for sample in self.of(work, connections, system)])

    def throughput_ratio(self, work: str, connections: int, ours: str, other: str) -> Spread:
        """Return how many times more requests a second one system answers than another.

        The ratios are of the same round, so that a machine that slows down hits both.
        """
        return Spread.of(
            [
                mine.per_second / others.per_second
                for mine, others in zip(
                    self.of(work, connections, ours),
                    self.of(work, connections, other),
                    strict=True,
                )
            ]
        )

    def cpu_ms(self, work: str, connections: int, system: str) -> dict[str, float]:
        """Return the CPU time per request of each part, the median of the rounds."""
        samples = self.of(work, connections, system)
        return {
            part: median(sample.cpu_ms[part] for sample in samples) for part in samples[0].cpu_ms
        }

    def works(self) -> list[tuple[str, int]]:
        """Return each work and number of connections, in the order in which they were measured."""
        return list(dict.fromkeys((sample.work, sample.connections) for sample in self.samples))

    def errors(self) -> list[str]:
        return [
            f"{sample.work} on {sample.connections} connections against {sample.system}, round"
            f" {sample.round}: {errors}"
            for sample in self.samples
            if (errors := ", ".join(f"{n} × {kind}" for kind, n in sample.errors.items()))
        ]


class Flow(BaseModel):
    """Create, complete, notification listed."""

    sustained_per_second: list[float]
    """Finished flows a second, in windows of equal length, with a bounded number under way."""
    sustained_flows: int
    at_once: int
    """Most flows under way in the sustained load."""
    idle_after: float
    """Seconds from the end of the sustained load until nothing was left in any queue."""
    open_rate: int
    """Flows that were begun each second, whatever became of the earlier ones."""
    open_flows: int
    open_p50_ms: list[float]
    """From the moment at which the flow was due to the notification listed, by window."""
    open_p99_ms: list[float]
    from_completion_p50_ms: float
    """From sending the completion to the notification listed."""
    from_completion_p99_ms: float
    resolution_ms: float
    """Time between two looks at the list, the median."""


class Announcing(BaseModel):
    """How fast changes become events."""

    events: int
    """Changes made at once, for the delay under load."""
    drained_per_second: list[float]
    """Events a second, from the first to the last of many changes made at once."""
    delays_ms: list[float]
    """From sending a change to its event, of changes made at once."""
    lone_delays_ms: list[float]
    """The same, of changes made one after the other."""


class Outbox(BaseModel):
    ours: Announcing
    built_in: Announcing


class GrowthPoint(BaseModel):
    """One measurement with a number of tasks stored, and of `empty` right beside it."""

    tasks: int
    work: str
    repeat: int
    p50_ms: float
    """On one connection."""
    per_second: float
    """On 16 connections."""
    empty_p50_ms: float
    empty_per_second: float

    @property
    def relative_p50(self) -> float:
        return self.p50_ms / self.empty_p50_ms

    @property
    def relative_slowness(self) -> float:
        return self.empty_per_second / self.per_second


class Growth(BaseModel):
    points: list[GrowthPoint] = []
    megabytes: dict[str, float] = {}
    """Resident memory of each part, with all tasks stored and everything handled."""

    def sizes(self) -> list[int]:
        return sorted({point.tasks for point in self.points})

    def works(self) -> list[str]:
        return list(dict.fromkeys(point.work for point in self.points))

    def of(self, work: str, tasks: int) -> list[GrowthPoint]:
        found = [point for point in self.points if (point.work, point.tasks) == (work, tasks)]
        return sorted(found, key=lambda point: point.repeat)

    def against_smallest(self, work: str, tasks: int, *, latency: bool) -> Spread:
        """Return how many times slower than with the fewest tasks, relative to `empty`."""

        def slowness(point: GrowthPoint) -> float:
            return point.relative_p50 if latency else point.relative_slowness

        first = median(slowness(point) for point in self.of(work, self.sizes()[0]))
        return Spread.of([slowness(point) / first for point in self.of(work, tasks)])


class UpdatesChunk(BaseModel):
    """A row of updates of one task, one after the other."""

    updates: int
    """How many the task had when the row ended."""
    per_second: float
    p50_ms: float
    p99_ms: float
    empty_p50_ms: float
    document_bytes: int

    @property
    def relative_p50(self) -> float:
        return self.p50_ms / self.empty_p50_ms


class Layer(BaseModel):
    """What a part of the way takes by itself, at one connection, in each round."""

    name: str
    p50_ms: list[float]
    caller_cpu_ms: list[float] = []
    """CPU time of the calling process for each call, where that is not wrk."""


class Results(BaseModel):
    """All that a run measured; a part that was left out is None or empty."""

    commit: str
    machine: dict[str, str]
    command: str
    rounds: int
    seconds: int
    throughput: Samples = Samples()
    flow: Flow | None = None
    outbox: Outbox | None = None
    growth: Growth | None = None
    updates: list[UpdatesChunk] = []
    layers: list[Layer] = []
    startup_seconds: list[float] = []
