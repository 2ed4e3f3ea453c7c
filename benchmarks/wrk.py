"""The load generator: wrk, from the PATH.

It shares the cores with what it measures, so it was chosen by its cost: 20 µs of CPU per request
against 80 µs of vegeta, at 6,000 requests a second.
"""

import json
import resource
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tools.parts import PartMissing

SCRIPT = Path(__file__).with_name("wrk.lua")
# An answer that is later than this is counted as an error.
TIMEOUT = "10s"


class Refused(Exception):
    """An answer was not the one wanted."""


class Request(NamedTuple):
    """What is sent; `{id}` and `{status}` in the path change with each request."""

    method: str
    path: str
    body: str = ""


class Burst(NamedTuple):
    """What a short closed loop measured."""

    requests: int
    """Answers, of any status."""
    seconds: float
    p50_ms: float
    p99_ms: float
    next_number: int
    """Number of the first request that was not sent."""
    errors: dict[str, int]
    """By kind, those that occurred; `status` counts answers of 400 and above."""
    cpu_seconds: float
    """Of the load generator itself."""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    def refuse_errors(self, request: Request, url: str) -> None:
        """Raise `Refused` if any answer was an error."""
        if self.errors:
            kinds = ", ".join(f"{count} × {kind}" for kind, count in self.errors.items())
            raise Refused(
                f"{request.method} {request.path} on {url}: {kinds} in {self.requests} answers."
            )


def wrk() -> str:
    """Return the path of wrk.

    Raises:
        PartMissing: it is not on the PATH.
    """
    path = shutil.which("wrk")
    if path is None:
        raise PartMissing(
            "The load generator wrk is not on the PATH. Install it: `apt install wrk`, or"
            " `brew install wrk`."
        )
    return path


def run(
    url: str,
    request: Request,
    connections: int,
    seconds: int,
    ids: Path | None = None,
    first_number: int = 0,
) -> Burst:
    """Send requests for some seconds, on each connection the next one after each answer.

    Args:
        ids: file of task ids, one a line, that `{id}` in the path goes through.
        first_number: where in the row of ids and statuses to go on.
    """
    before = _cpu_of_ended_children()
    finished = subprocess.run(
        [
            *(wrk(), "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{seconds}s", "--timeout", TIMEOUT, "--script", str(SCRIPT)),
            *(url, "--", request.method, request.path, request.body),
            *(str(ids or ""), str(first_number)),
        ],
        capture_output=True,
        text=True,
        timeout=seconds + 30,
    )
    lines = finished.stdout.strip().splitlines()
    if finished.returncode != 0 or not lines or not lines[-1].startswith("{"):
        raise RuntimeError(f"wrk failed on {url}: {finished.stderr}{finished.stdout}")
    said = json.loads(lines[-1])
    kinds = ("connect", "read", "write", "status", "timeout")
    return Burst(
        requests=said["requests"],
        seconds=said["seconds"],
        p50_ms=said["p50_ms"],
        p99_ms=said["p99_ms"],
        next_number=said["next_number"],
        errors={kind: said[kind] for kind in kinds if said[kind]},
        cpu_seconds=_cpu_of_ended_children() - before,
    )


def _cpu_of_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
