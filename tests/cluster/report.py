"""What a run on a cluster measured, as a table."""

import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from faults.report import HEADINGS, aligned, commit, markdown

BEGIN, END = "<!-- figures of make cluster-test -->", "<!-- end of the figures -->"


class CannotReport(Exception):
    """The page cannot be written; the text says why and what to do."""


@dataclass(frozen=True)
class Figures:
    """What came of one load, beside what was done meanwhile."""

    name: str
    requests: int
    failed: int
    found: dict[str, int]
    """What breaks the guarantee, by column; all have to be 0."""
    unexpected: int
    requests_a_second: float
    p99_seconds: float
    longest_delay_seconds: float
    longest_notification_seconds: float
    longest_gap_seconds: float
    failing_seconds: float


@dataclass
class Report:
    figures: list[Figures] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, figures: Figures) -> None:
        self.figures.append(figures)

    def note(self, line: str) -> None:
        self.notes.append(line)

    def __bool__(self) -> bool:
        return bool(self.figures or self.notes)

    def as_text(self) -> str:
        return "\n".join([*([aligned(self._table())] if self.figures else []), *self.notes])

    def write(self, page: Path, cluster: str) -> None:
        """Write the figures beside the page, and their table into it, between its markers.

        Args:
            cluster: says what the figures were measured on.

        Raises:
            CannotReport: the page has no place for the table.
        """
        text = page.read_text() if page.exists() else ""
        place = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
        if not place.search(text):
            raise CannotReport(
                f"{page} has no place for the figures. Put the lines {BEGIN!r} and {END!r} where"
                " they are to stand, and run again."
            )
        run = {
            "commit": commit("services", "libs", "helm"),
            "date": datetime.now(UTC).date().isoformat(),
            "cluster": cluster,
            "notes": self.notes,
            "figures": [asdict(each) for each in self.figures],
        }
        figures = page.with_name(f"{page.stem}-figures.json")
        figures.write_text(json.dumps(run, indent=1) + "\n")
        lines = [
            BEGIN,
            markdown(self._table()),
            "",
            f"Measured on {run['date']}, commit {run['commit']}: {cluster}. This table is generated"
            f" from [{figures.name}]({figures.name}) by `REPORT=1 make cluster-test`.",
            *(["", *(f"- {note}" for note in self.notes)] if self.notes else []),
            END,
        ]
        page.write_text(place.sub(lambda _: "\n".join(lines), text))

    def _table(self) -> list[list[str]]:
        columns = [heading.replace("-", "") for heading in HEADINGS.values()]
        heading = ["under load", "requests", "a second", "failed", *columns, "unexpected", "p99"]
        heading += ["longest gap", "failing for", "longest event delay", "longest notification"]
        return [heading, *map(_row, self.figures)]


def _row(each: Figures) -> list[str]:
    return [
        *(each.name, f"{each.requests:,}", f"{each.requests_a_second:.0f}", str(each.failed)),
        *(str(each.found[column]) for column in HEADINGS),
        str(each.unexpected),
        f"{each.p99_seconds * 1000:.0f} ms",
        f"{each.longest_gap_seconds:.2f} s",
        f"{each.failing_seconds:.2f} s",
        f"{each.longest_delay_seconds:.2f} s",
        f"{each.longest_notification_seconds:.2f} s",
    ]
