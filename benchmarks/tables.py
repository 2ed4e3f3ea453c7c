"""Figures as tables in Markdown, which also read well in a terminal."""

from collections.abc import Sequence

from benchmarks.measurements import Samples, Spread
from benchmarks.systems import EMPTY, OURS, SYSTEMS


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, its columns aligned, the first to the left."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        aligned = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(aligned)} |"

    rule = [
        "-" * width if column == 0 else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def number(value: float) -> str:
    """Return a figure with about three digits."""
    size = abs(value)
    if size == 0 or size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def spread(values: Spread) -> str:
    if values.low == values.high:
        return number(values.median)
    return f"{number(values.median)} ({number(values.low)}–{number(values.high)})"


def figures(samples: Samples, work: str, connections: int, system: str) -> tuple[str, ...]:
    """Return connections, system, requests a second, p50, p99, and how many times that is ours."""
    ratio = ""
    if system != OURS and samples.has(work, connections, OURS):
        ratio = spread(samples.throughput_ratio(work, connections, OURS, system))
    p99 = Spread.of([sample.p99_ms for sample in samples.of(work, connections, system)])
    return (
        str(connections),
        system,
        spread(samples.per_second(work, connections, system)),
        spread(samples.p50_ms(work, connections, system)),
        number(p99.median),
        ratio,
    )


def samples_table(samples: Samples) -> str:
    """Return throughput, latency, ratios and CPU time of every cell."""
    header = ("work", "connections", "system", "a second", "p50 ms", "p99 ms", "ours is × this")
    rows = []
    costs = []
    for work, connections in samples.works():
        for system in SYSTEMS:
            if not samples.has(work, connections, system):
                continue
            rows.append((work, *figures(samples, work, connections, system)))
            if system != EMPTY:
                costs.append(_cost(samples, work, connections, system))
    cost_header = ("work", "connections", "system", "CPU ms a request, by part", "announced after")
    return f"{table(header, rows)}\n\n{table(cost_header, costs)}"


def _cost(samples: Samples, work: str, connections: int, system: str) -> tuple[str, ...]:
    parts = samples.cpu_ms(work, connections, system)
    total = sum(parts.values())
    by_part = ", ".join(f"{part} {milliseconds:.2f}" for part, milliseconds in parts.items())
    cell = samples.of(work, connections, system)
    waiting = max(sample.not_announced for sample in cell)
    late = max(sample.announced_after for sample in cell)
    idle = max(sample.idle_after for sample in cell)
    after = f"{waiting} waiting, {late:.1f} s, handled {idle:.1f} s" if idle else ""
    return (work, str(connections), system, f"{total:.2f}: {by_part}", after)
