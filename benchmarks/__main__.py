"""Measures the services, and writes docs/performance.md: `make bench`."""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import flow, growth, layers, outbox, report, startup, throughput, wrk
from benchmarks.backlog import NeverAnnounced
from benchmarks.goals import verdicts
from benchmarks.machine import commit, machine
from benchmarks.measurements import Results
from benchmarks.systems import SYSTEMS
from benchmarks.tables import samples_table
from benchmarks.throughput import GET, POST, PUT
from tools.local_system import ROOT, CannotStart
from tools.parts import PartMissing

ROUTES = (POST, GET, PUT)
PARTS = (*ROUTES, "flow", "outbox", "growth", "updates", "layers", "startup")
DOCS = ROOT / "docs"


class Extent(NamedTuple):
    """How much is measured."""

    connections: tuple[int, ...] = (1, 16, 64)
    rounds: int = 5
    seconds: int = 3
    tasks: int = 1_000
    flow_seconds: int = 20
    outbox_events: int = 500
    sizes: tuple[int, ...] = (1_000, 10_000, 100_000)
    updates: int = 10_000
    chunks: int = 10
    calls: int = 500


FULL = Extent()
SMOKE = Extent(
    connections=(16,),
    rounds=1,
    seconds=1,
    tasks=300,
    flow_seconds=2,
    outbox_events=20,
    sizes=(50, 500),
    updates=200,
    chunks=2,
    calls=20,
)


def main() -> None:
    wanted = _arguments()
    if wanted.report:
        print(report.write(report.read(DOCS), DOCS))
        return
    # What was started is stopped by the end of the `with` blocks, so every end has to be one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    extent = SMOKE if wanted.smoke else FULL
    chosen = {name: getattr(wanted, name) for name in ("connections", "rounds", "seconds")}
    extent = extent._replace(**{name: value for name, value in chosen.items() if value})
    began = time.monotonic()

    def progress(line: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {line}", file=sys.stderr, flush=True)

    kept = Path(tempfile.mkdtemp(prefix="dapr-tasks-bench-"))
    try:
        wrk.wrk()
        results = _measured(extent, wanted.only, wanted.systems, kept, progress)
    except (CannotStart, PartMissing, NeverAnnounced, wrk.Refused) as error:
        sys.exit(f"{error}\nData and logs of everything that ran are kept in {kept}.")
    except KeyboardInterrupt:
        sys.exit(f"Interrupted; nothing was reported. Data and logs are in {kept}.")
    shutil.rmtree(kept)
    complete = extent == FULL and set(wanted.only) == set(PARTS) and wanted.systems == SYSTEMS
    # Only a full run may replace the report of the last one.
    folder = DOCS if complete else Path(tempfile.mkdtemp(prefix="dapr-tasks-bench-"))
    written = report.write(results, folder)
    if results.throughput.samples:
        print(samples_table(results.throughput), end="\n\n")
    print(report.goals_table(verdicts(results)), end="\n\n")
    print(f"The report is {written}")
    if errors := results.throughput.errors():
        sys.exit("\n".join(errors))


def _measured(
    extent: Extent,
    parts: tuple[str, ...],
    systems: tuple[str, ...],
    kept: Path,
    progress: Callable[[str], None],
) -> Results:
    results = Results(
        commit=commit(),
        machine=machine(),
        command=" ".join(["python -m benchmarks", *sys.argv[1:]]),
        rounds=extent.rounds,
        seconds=extent.seconds,
    )

    def folder(part: str) -> Path:
        own = kept / part
        own.mkdir()
        return own

    if works := [route for route in ROUTES if route in parts]:
        results.throughput.samples += throughput.measure(
            works,
            folder("routes"),
            connections=extent.connections,
            rounds=extent.rounds,
            seconds=extent.seconds,
            systems=systems,
            tasks=extent.tasks,
            progress=progress,
        )
    if "flow" in parts:
        results.flow = flow.measure(folder("flow"), seconds=extent.flow_seconds, progress=progress)
    if "outbox" in parts:
        results.outbox = outbox.measure(
            folder("outbox"),
            events=extent.outbox_events,
            rounds=extent.rounds,
            seconds=extent.seconds,
            progress=progress,
        )
    if "growth" in parts:
        results.growth = growth.measure(
            folder("growth"), sizes=extent.sizes, repeats=extent.rounds, progress=progress
        )
    if "updates" in parts:
        results.updates = growth.measure_updates(
            folder("updates"), updates=extent.updates, chunks=extent.chunks, progress=progress
        )
    if "layers" in parts:
        results.layers = layers.measure(
            folder("layers"), calls=extent.calls, rounds=extent.rounds, progress=progress
        )
    if "startup" in parts:
        results.startup_seconds = startup.measure(
            folder("startup"), rounds=extent.rounds, progress=progress
        )
    return results


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"{__doc__} A run that is not the full one writes to a temporary folder.",
    )
    parser.add_argument(
        "--smoke", action="store_true", help="every part, as short as possible; for its errors"
    )
    parser.add_argument(
        "--report", action="store_true", help="write the report of the last full run anew"
    )
    parser.add_argument(
        "--only", type=_some(PARTS), default=PARTS, help=f"some of {','.join(PARTS)}"
    )
    parser.add_argument(
        "--systems", type=_some(SYSTEMS), default=SYSTEMS, help=f"some of {','.join(SYSTEMS)}"
    )
    parser.add_argument("--connections", type=_numbers, help="for the routes, such as 16,64")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="of each burst")
    return parser.parse_args()


def _some(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def some(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(
                f"{', '.join(sorted(unknown))}: there is only {', '.join(known)}"
            )
        return names

    return some


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    main()
