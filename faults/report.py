"""The figures of a run, of several runs together, and the page that shows them."""

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from faults.history import COLUMNS
from faults.injections import FAULTS, STRANGE_MESSAGES
from tools import parts
from tools.local_system import ROOT

HEADINGS = {
    "lost": "lost",
    "unannounced": "un-announced",
    "phantom": "phantom",
    "altered": "altered",
    "resurrected": "resur-rected",
    "notified_twice": "notified twice",
    "not_notified": "not notified",
}

HELD_UP_SECONDS = 2.0


class CannotReport(Exception):
    """Runs that do not belong together; the text says why and what to do."""


@dataclass
class FaultResult:
    name: str
    injected: int
    acknowledged: int
    found: dict[str, int]
    unexpected: int
    repeated_events: int
    longest_delay_seconds: float
    recovery_seconds: list[float]
    examples: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not any(self.found.values()) and not self.unexpected

    def joined(self, other: "FaultResult") -> "FaultResult":
        return FaultResult(
            self.name,
            self.injected + other.injected,
            self.acknowledged + other.acknowledged,
            {column: self.found[column] + other.found[column] for column in COLUMNS},
            self.unexpected + other.unexpected,
            self.repeated_events + other.repeated_events,
            max(self.longest_delay_seconds, other.longest_delay_seconds),
            self.recovery_seconds + other.recovery_seconds,
            self.examples + other.examples,
        )


@dataclass
class Run:
    commit: str
    date: str
    machine: dict[str, Any]
    appendfsync: str
    seeds: list[int]
    seconds: int
    steady_changes_a_second: float
    faults: list[FaultResult]

    @property
    def clean(self) -> bool:
        return all(fault.clean for fault in self.faults)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Run":
        fields = json.loads(path.read_text())
        return cls(**{**fields, "faults": [FaultResult(**each) for each in fields["faults"]]})


def this_machine() -> dict[str, Any]:
    """Return what a run was measured with, and when."""
    return {
        "commit": commit("services", "libs", "components"),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 1e9),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "dapr": parts.version_text(parts.daprd()),
            "redis": parts.version_text(parts.redis_server()),
        },
    }


def commit(*folders: str) -> str:
    """Return the commit at hand, with a + where something in `folders` was changed since."""

    def git(*arguments: str) -> str:
        answer = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return answer.stdout.strip()

    changed = "+" if git("status", "--porcelain", "--", *folders) else ""
    return f"{git('rev-parse', '--short=10', 'HEAD') or 'unknown'}{changed}"


def merged(runs: Sequence[Run]) -> Run:
    """Add up runs of the same code on the same machine.

    Raises:
        CannotReport: they are not.
    """
    first = runs[0]
    for run in runs[1:]:
        for what in ("commit", "machine", "appendfsync"):
            here, there = getattr(first, what), getattr(run, what)
            if here != there:
                raise CannotReport(
                    f"Seeds {first.seeds} and {run.seeds} differ in {what}: {here} and {there}."
                    " Report them apart, or run one of them again."
                )
    faults: dict[str, FaultResult] = {}
    for run in runs:
        for result in run.faults:
            seen = faults.get(result.name)
            faults[result.name] = seen.joined(result) if seen else result
    order = [fault.name for fault in FAULTS]
    seconds = sum(run.seconds for run in runs)
    return Run(
        first.commit,
        max(run.date for run in runs),
        first.machine,
        first.appendfsync,
        [seed for run in runs for seed in run.seeds],
        seconds,
        round(sum(run.steady_changes_a_second * run.seconds for run in runs) / seconds, 1),
        sorted(faults.values(), key=lambda each: order.index(each.name)),
    )


def quantile(values: Sequence[float], part: float) -> float:
    """Return the smallest of `values` that `part` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(part * len(ordered)) - 1, 0)]


def table(run: Run) -> list[list[str]]:
    """Return heading and rows: what was done, what has to be 0, and the times."""
    heading = ["fault", "times", "changes", *HEADINGS.values(), "unex-pected"]
    heading += ["longest delay", "recovery p50", "p99"]
    rows = [heading]
    for each in run.faults:
        rows.append(
            [
                *(each.name, str(each.injected), f"{each.acknowledged:,}"),
                *(str(each.found[column]) for column in HEADINGS),
                str(each.unexpected),
                f"{each.longest_delay_seconds:.1f} s",
                *(f"{quantile(each.recovery_seconds, part):.2f} s" for part in (0.5, 0.99)),
            ]
        )
    return rows


def as_text(run: Run) -> str:
    return aligned(_in_one_piece(table(run)))


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def as_page(run: Run, since: Run | None = None) -> str:
    """Return docs/faults.md.

    Args:
        since: a smaller run of later code.
    """
    injected = sum(fault.injected for fault in run.faults)
    changes = sum(fault.acknowledged for fault in run.faults)
    wrong = sum(sum(fault.found.values()) + fault.unexpected for fault in run.faults)
    outcome = (
        "Every column that has to be 0 is 0."
        if run.clean
        else f"**The guarantee was broken in {wrong:,} cases:** see the columns that are not 0."
    )
    lines = [
        "# The fault ledger",
        "",
        "What becomes of the guarantee ([flow.md](flow.md)) when parts are killed, frozen, cut off"
        " and refused, one at a time, while clients create, change, complete and delete tasks."
        f" {injected:,} faults, {changes:,} acknowledged changes. {outcome}",
        "",
        markdown(_in_one_piece(table(run))),
        "",
        f"{_measured(run)} This page is generated from [faults.json](faults.json).",
        "",
        *(_since(since) if since else ()),
        "```",
        "make faults                                                   # two of each, in CI",
        ".venv/bin/python -m faults --kills 25 --others 5 --seed 1 --out 1.json",
        ".venv/bin/python -m faults report docs/faults.json 1.json 2.json 3.json 4.json",
        ".venv/bin/python -m faults report --since docs/faults.json 5.json 6.json",
        "```",
        "",
        "A seed gives the same faults in the same order after the same pauses, and clients that"
        " want the same; how their requests interleave is the machine's. On a failure the"
        " command says what broke, keeps the logs, and ends with status 1.",
        "",
        "## What is done",
        "",
        "- **kill**: SIGKILL, and the same command started again at once. Redis comes back on its"
        " append-only file. This is the death of a process, not of the machine: what Redis has"
        " handed to the kernel survives, whatever `appendfsync` says.",
        "- **pause**: SIGSTOP, and SIGCONT after 10 s.",
        "- **cut**: for 3 s toxiproxy refuses the sidecars' connections to Redis, or loses what is"
        " sent both ways, or loses the answers alone.",
        "- **delay**: for 10 s every answer of Redis comes 2 s later.",
        "- **Redis refuses writes**: for 5 s it is out of memory (`maxmemory 1`, `noeviction`).",
        f"- **{STRANGE_MESSAGES} messages that nobody invented**: published at once, past the"
        " services, to all three topics: no JSON, no events, times beyond the calendar, 300 and"
        " 9,990 levels deep, numbers of 5,000 digits, 300 KB, other encodings. Each has to be one"
        f" dead letter, which the run discards; else that is unexpected.{_strange(since or run)}",
        "- **replicas**: two task-apis take the load; one of them, or its sidecar, is killed or"
        " frozen.",
        "",
        "## What is counted",
        "",
        "A checker that shares no code with the services (`faults/history.py`) compares four views:"
        " what clients saw acknowledged, what is in Redis, what a subscriber of its own received"
        " on `task-events`, and which notifications were delivered and listed. It looks when all"
        " injections of a kind are over and settled, and again at the end.",
        "",
        *(
            f"- **{HEADINGS[column].replace('-', '')}**: {means}."
            for column, means in COLUMNS.items()
        ),
        "- **unexpected**: an answer that the contract does not have, a request without an answer"
        " for 90 s, a dead letter that no strange message explains, a deleted task whose key stays"
        " in the store.",
        "- **changes**: acknowledged to clients. One whose request failed or was not answered sends"
        " it again (`Idempotency-Key`, `If-Match`) until it knows. One task in twelve is changed"
        " by three clients at once, without `If-Match`.",
        "- **longest delay**: from the acknowledgement of a change to the receipt of its event.",
        "- **recovery**: from a kill, or from the end of any other fault, to the first"
        " acknowledgement of a change that was requested after it; for notification-service and"
        " its sidecar, to the first notification of a task that was completed after it. The"
        " scheduler is on the way of no change.",
        "",
    ]
    repeated = sum(fault.repeated_events for fault in run.faults)
    lines += [
        f"{repeated:,} events came more than once, which consumers tell by their id: delivery is"
        " at least once.",
        "",
    ]
    return "\n".join(lines)


def _measured(run: Run) -> str:
    machine = run.machine
    seeds = ", ".join(str(seed) for seed in run.seeds)
    return (
        f"Measured on {run.date}, commit {run.commit}, with `appendfsync {run.appendfsync}`:"
        f" {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']},"
        f" Python {machine['python']}, Dapr {machine['dapr']}, Redis {machine['redis']};"
        f" {run.steady_changes_a_second} changes a second between the faults; seeds {seeds},"
        f" {run.seconds // 60} minutes together."
    )


def _since(run: Run) -> list[str]:
    return ["## Since then", "", markdown(_in_one_piece(table(run))), "", _measured(run), ""]


def _strange(run: Run) -> str:
    """Return what became of the messages that nobody invented."""
    results = [fault for fault in run.faults if "nobody invented" in fault.name]
    if not results:
        return ""
    (result,) = results
    held_up = sum(each > HELD_UP_SECONDS for each in result.recovery_seconds)
    lost = sum("dead letters" in example for example in result.examples)
    return (
        f" {result.injected * STRANGE_MESSAGES:,} were sent: {held_up} times they held up others"
        f" for more than {HELD_UP_SECONDS:g} s, {lost} times one was lost or doubled."
    )


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; the first row is its heading."""
    heading, *others = rows
    ruler = ["---", *["---:"] * (len(heading) - 1)]
    return "\n".join(_row(row) for row in (heading, ruler, *others))


def _in_one_piece(rows: list[list[str]]) -> list[list[str]]:
    """Return a table whose heading has no places to break its words at."""
    return [[cell.replace("-", "") for cell in rows[0]], *rows[1:]]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_report(target: Path, sources: Sequence[Path], *, since: bool = False) -> Run:
    """Merge runs into `target` and write the page beside it.

    Args:
        since: the runs are of later code: they are shown beside what `target` has.
    """
    run = merged([Run.read(source) for source in sources])
    beside = target.with_stem(f"{target.stem}-since")
    if since:
        run.write(beside)
        page = as_page(Run.read(target), run)
    else:
        beside.unlink(missing_ok=True)
        run.write(target)
        page = as_page(run)
    target.with_suffix(".md").write_text(page)
    return run


def say_on(run: Run) -> None:
    """Print the table, and what is wrong."""
    print(as_text(run))
    for fault in run.faults:
        for example in fault.examples:
            print(f"{fault.name}: {example}", file=sys.stderr)
