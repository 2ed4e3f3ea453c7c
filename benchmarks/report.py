"""docs/performance.md, made of what a run measured and of benchmarks/notes.md."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from textwrap import fill

from benchmarks import layers, plots
from benchmarks.goals import ROUTES, Verdict, verdicts
from benchmarks.measurements import Layer, Results, Spread
from benchmarks.systems import OURS, SYSTEMS
from benchmarks.tables import figures, number, spread, table
from benchmarks.throughput import POST, PUT, SAVE_ALONE

NOTES = Path(__file__).with_name("notes.md")
DATA, REPORT = "performance.json", "performance.md"


def write(results: Results, folder: Path) -> Path:
    """Write the data, the plots and the report to a folder; return the path of the report."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DATA).write_text(results.model_dump_json(indent=1) + "\n")
    plots.draw(results.throughput, folder)
    report = folder / REPORT
    report.write_text("\n\n".join(_sections(results)) + "\n")
    return report


def read(folder: Path) -> Results:
    return Results.model_validate_json((folder / DATA).read_text())


def goals_table(judged: list[Verdict]) -> str:
    rows = [
        (
            verdict.work,
            f"{spread(verdict.measured)}{verdict.unit}",
            f"{'≥' if verdict.at_least else '≤'} {number(verdict.bound)}{verdict.unit}",
            "met" if verdict.met else f"missed by {100 * verdict.missed_by:.0f} %",
        )
        for verdict in judged
    ]
    return table(("work", "measured", "goal", ""), rows)


def _sections(results: Results) -> Iterator[str]:
    judged = verdicts(results)
    met = sum(verdict.met for verdict in judged)
    yield "# Performance"
    yield _wrapped(
        "Made by `make bench`; the section before the last is written by hand, in"
        " `benchmarks/notes.md`. All systems ran beside each other on one machine and took the load"
        " in turn, so the ratios hold better than the absolute figures. A figure is the median"
        f" of {results.rounds} rounds and in brackets the lowest and the highest. A ratio is of"
        " the same round."
    )
    yield _what_is_compared()
    yield f"## Goals\n\n{met} of {len(judged)} are met.\n\n{goals_table(judged)}"
    if results.throughput.samples:
        yield _throughput(results)
        yield _announced(results)
    yield _layers(results)
    yield _others(results)
    yield f"## What holds it, and ten times further\n\n{NOTES.read_text().strip()}"
    yield _conditions(results)


def _what_is_compared() -> str:
    return """\
- **ours**: task-api, notification-service, their sidecars, Redis. A create is an intent, two index
  pages, the document, the announcement, and what both subscribers make of it. After each burst of
  writes the next one waits until everything is announced and handled; the CPU time below includes
  that.
- **naive**: a synchronous `DaprClient` opened in every request; save, then publish. Not crash-safe,
  and nobody subscribes to its events.
- **direct**: FastAPI on redis-py, `HSET` and `XADD` in one `MULTI`, no sidecar. Nobody reads its
  events; its update is a plain read before the `MULTI`, so it can lose a concurrent one.
- **empty**: the same routes, models in and out, without I/O: the limit of FastAPI on one core.

All four have the models, the server and its options in common, and a Redis with append-only file,
synchronised every second; the comparators share one of their own. Updates set `in_progress` and
`pending` in turn, each on another task than those under way."""


def _throughput(results: Results) -> str:
    samples = results.throughput
    rows = []
    for work, connections in samples.works():
        for system in SYSTEMS:
            if not samples.has(work, connections, system):
                continue
            *cells, ratio = figures(samples, work, connections, system)
            times = f"{ratio}×" if ratio else ""
            rows.append((ROUTES.get(work, "naive's save alone"), *cells, times))
    header = ("route", "connections", "system", "requests a second", "p50, ms", "p99, ms", "ours")
    errors = "".join(f"\n- {error}" for error in samples.errors())
    shown = f"\n\nErrors:\n{errors}" if errors else "\n\nNo request of any round had an error."
    return f"""\
## Throughput and latency

![Requests a second against connections](performance-throughput.svg)

![Latency against connections](performance-latency.svg)

The last column is how many times the throughput of that row ours has.

{table(header, rows)}{shown}"""


def _announced(results: Results) -> str:
    rows = []
    for work, connections in results.throughput.works():
        cell = results.throughput.of(work, connections, OURS)
        if work not in (POST, PUT) or not cell:
            continue
        rows.append(
            (
                ROUTES[work],
                str(connections),
                number(median(sample.requests for sample in cell)),
                spread(Spread.of([sample.not_announced for sample in cell])),
                spread(Spread.of([sample.announced_after for sample in cell])),
                spread(Spread.of([sample.idle_after for sample in cell])),
            )
        )
    header = (
        *("route", "connections", "acknowledged in a burst", "then not yet announced"),
        *("all announced after, s", "all handled after, s"),
    )
    return f"""\
## What a burst of writes leaves behind

Read from the streams in Redis at the end of each burst of {results.seconds} s. There were as many
events as acknowledged changes in the end, or the run would have failed.

{table(header, rows)}"""


def _layers(results: Results) -> str:
    text = "## Where the time goes"
    if results.throughput.samples:
        text += f"""

CPU time per request by process, in milliseconds, the median of the rounds. With every core busy
this is what throughput is made of.

{_cpu_table(results)}"""
    if results.layers:
        rows = [
            (
                layer.name,
                spread(Spread.of(layer.p50_ms)),
                spread(Spread.of(layer.caller_cpu_ms)) if layer.caller_cpu_ms else "",
            )
            for layer in results.layers
        ]
        text += f"""

Latency at one connection, one call after the other, and the CPU time that a call costs the calling
process, which is Python as the service is.

{table(("call", "p50, ms", "caller's CPU, ms"), rows)}

{table(("layer of a save at one connection", "ms"), _differences(results.layers))}"""
    return text


def _cpu_table(results: Results) -> str:
    samples = results.throughput
    rows = []
    for work, connections in samples.works():
        for system in SYSTEMS:
            if not samples.has(work, connections, system) or work == SAVE_ALONE:
                continue
            parts = samples.cpu_ms(work, connections, system)

            def of(*names: str, parts: dict[str, float] = parts) -> str:
                found = [parts[name] for name in names if name in parts]
                return f"{sum(found):.2f}" if found else ""

            rows.append(
                (
                    ROUTES[work],
                    str(connections),
                    system,
                    of(*parts),
                    of("task-api", "service"),
                    of("sidecar of task-api", "sidecar"),
                    of("notification-service"),
                    of("sidecar of notification-service"),
                    of("Redis"),
                    of("load generator"),
                )
            )
    header = (
        *("route", "connections", "system", "total", "service", "its sidecar"),
        *("notification-service", "its sidecar", "Redis", "load generator"),
    )
    return table(header, rows)


def _differences(measured: list[Layer]) -> list[tuple[str, str]]:
    """Return what each layer adds to the one below."""
    p50 = {layer.name: layer.p50_ms for layer in measured}

    def over(upper: str, lower: str) -> str:
        return spread(
            Spread.of([high - low for high, low in zip(p50[upper], p50[lower], strict=True)])
        )

    return [
        ("store: Redis alone", spread(Spread.of(p50[layers.REDIS_SAVE]))),
        ("store, seen through the sidecar", over(layers.STORE_SAVE, layers.SIDECAR_SAVE)),
        ("sidecar and gRPC", spread(Spread.of(p50[layers.SIDECAR_SAVE]))),
        ("SDK, over a bare gRPC stub", over(layers.SDK_SAVE, layers.STORE_SAVE)),
        ("HTTP and FastAPI", spread(Spread.of(p50[layers.HTTP_EMPTY]))),
        (
            "service: what a POST takes beyond HTTP and one save through the SDK",
            _rest(p50),
        ),
    ]


def _rest(p50: dict[str, list[float]]) -> str:
    rounds = zip(p50[layers.HTTP_OURS], p50[layers.HTTP_EMPTY], p50[layers.SDK_SAVE], strict=True)
    return spread(Spread.of([whole - http - save for whole, http, save in rounds]))


def _others(results: Results) -> str:
    lines = []
    if flow := results.flow:
        lines.append(
            "- **Flow**: create → complete → notification listed,"
            f" {flow.sustained_flows:,} times with at most {flow.at_once} under way, in"
            f" {len(flow.sustained_per_second)} windows:"
            f" {spread(Spread.of(flow.sustained_per_second))} a second; nothing was left in any"
            f" queue {flow.idle_after:.1f} s after the load ended. At {flow.open_rate} a second,"
            " whatever becomes of the earlier ones, the whole flow takes"
            f" p50 {spread(Spread.of(flow.open_p50_ms))} ms, p99"
            f" {spread(Spread.of(flow.open_p99_ms))} ms; from sending the completion p50"
            f" {number(flow.from_completion_p50_ms)} ms, p99"
            f" {number(flow.from_completion_p99_ms)} ms. The list is looked at every"
            f" {number(flow.resolution_ms)} ms."
        )
    if outbox := results.outbox:
        lines.append(
            "- **Built-in outbox**: it announces"
            f" {number(outbox.built_in.drained_per_second[0])} events a second, ours"
            f" {spread(Spread.of(outbox.ours.drained_per_second))}. With {outbox.built_in.events}"
            " changes at once an event is on its topic after"
            f" {spread(Spread.of(outbox.built_in.delays_ms))} ms against"
            f" {spread(Spread.of(outbox.ours.delays_ms))}, of a lone change after"
            f" {spread(Spread.of(outbox.built_in.lone_delays_ms))} ms against"
            f" {spread(Spread.of(outbox.ours.lone_delays_ms))}, counted from sending the change."
        )
    if results.startup_seconds:
        lines.append(
            "- **Start to ready**, of all processes, with an empty state:"
            f" {spread(Spread.of(results.startup_seconds))} s."
        )
    text = "## The other figures\n\n" + "\n".join(_wrapped(line, "  ") for line in lines)
    if growth := results.growth:
        rows = [
            (
                work,
                f"{size:,}",
                spread(Spread.of([point.p50_ms for point in growth.of(work, size)])),
                spread(Spread.of([point.per_second for point in growth.of(work, size)])),
                spread(growth.against_smallest(work, size, latency=True)),
                spread(growth.against_smallest(work, size, latency=False)),
            )
            for work in growth.works()
            for size in growth.sizes()
        ]
        header = (
            *("request", "tasks stored", "p50, ms", "a second on 16 connections"),
            *("p50 against the fewest", "time per request against the fewest"),
        )
        memory = ", ".join(f"{part} {number(mb)}" for part, mb in growth.megabytes.items())
        text += f"""

### Growth

The last two columns are relative to `empty` beside each measurement, against drift of the machine.

{table(header, rows)}

Resident memory in the end, in MB: {memory}."""
    if results.updates:
        rows = [
            (
                f"{chunk.updates:,}",
                number(chunk.per_second),
                number(chunk.p50_ms),
                number(chunk.p99_ms),
                number(chunk.relative_p50 / results.updates[0].relative_p50),
                f"{chunk.document_bytes:,}",
            )
            for chunk in results.updates
        ]
        header = (
            *("updates so far", "a second", "p50, ms", "p99, ms"),
            *("p50 against the first row", "bytes of the document"),
        )
        text += f"\n\n### One task, updated again and again\n\n{table(header, rows)}"
    return text


def _wrapped(text: str, indent: str = "") -> str:
    return fill(text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _conditions(results: Results) -> str:
    rows = [(name, value) for name, value in results.machine.items()]
    described = table(("", ""), [("commit", results.commit), *rows])
    return f"""\
## Conditions

{described}

`{results.command}`: {results.rounds} rounds, bursts of {results.seconds} s, closed loops of wrk on
as many connections as stated. The load generator shares the cores with what it measures. The
figures are in [performance.json](performance.json)."""
