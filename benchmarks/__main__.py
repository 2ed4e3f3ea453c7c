"""Measures, and writes docs/performance.md: `make bench`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import throughput, wrk
from benchmarks.backlog import NeverAnnounced
from benchmarks.client import Refused
from benchmarks.measurements import Samples
from benchmarks.systems import SYSTEMS
from benchmarks.tables import samples_table
from tools.local_system import CannotStart
from tools.parts import PartMissing


def main() -> None:
    wanted = _arguments()
    began = time.monotonic()

    def progress(line: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {line}", file=sys.stderr, flush=True)

    try:
        wrk.wrk()
        with tempfile.TemporaryDirectory(prefix="dapr-tasks-bench-") as folder:
            samples = Samples()
            for sample in throughput.measure(
                wanted.only,
                Path(folder),
                connections=wanted.connections,
                rounds=wanted.rounds,
                seconds=wanted.seconds,
                systems=wanted.systems,
                progress=progress,
            ):
                samples.samples.append(sample)
    except (CannotStart, PartMissing, NeverAnnounced, Refused) as error:
        sys.exit(str(error))
    print(samples_table(samples))
    if errors := samples.errors():
        sys.exit("\n".join(errors))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_names, default=["post", "get", "put"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=_numbers, default=[1, 16, 64])
    parser.add_argument("--systems", type=_names, default=list(SYSTEMS))
    return parser.parse_args()


def _names(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    main()
