"""What a run measured, as it is kept in docs/performance.json."""

from statistics import median
from typing import NamedTuple

from pydantic import BaseModel


class Spread(NamedTuple):
    """The median of some rounds, and between what they were."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
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
