"""The figures of several runs of the campaign, added up."""

from dataclasses import replace
from pathlib import Path

import pytest

from faults.history import COLUMNS
from faults.injections import FAULTS
from faults.report import CannotReport, FaultResult, Run, merged, quantile, write_report

FIRST, LAST = FAULTS[0].name, FAULTS[-1].name


def result(name: str, *recoveries: float, **found: int) -> FaultResult:
    return FaultResult(
        name=name,
        injected=len(recoveries),
        acknowledged=1_000,
        found={**dict.fromkeys(COLUMNS, 0), **found},
        unexpected=0,
        repeated_events=3,
        longest_delay_seconds=max(recoveries),
        recovery_seconds=list(recoveries),
    )


def run(seed: int, *faults: FaultResult) -> Run:
    return Run(
        commit="abc",
        date="2026-11-21",
        machine={
            **{"cores": 2, "memory_gb": 8, "system": "Linux"},
            **{"python": "3.11.7", "dapr": "1.18.2", "redis": "7.0.15"},
        },
        appendfsync="everysec",
        seeds=[seed],
        seconds=100,
        steady_changes_a_second=58.0,
        faults=list(faults),
    )


def test_runs_add_up() -> None:
    both = merged([run(1, result(LAST, 1, 2), result(FIRST, 1)), run(2, result(LAST, 3, lost=1))])
    assert [fault.name for fault in both.faults] == [FIRST, LAST]
    last = both.faults[1]
    assert (last.injected, last.acknowledged, last.found["lost"]) == (3, 2_000, 1)
    assert last.recovery_seconds == [1, 2, 3]
    assert last.longest_delay_seconds == 3
    assert (both.seeds, both.seconds) == ([1, 2], 200)
    assert not both.clean


def test_runs_of_different_code_are_not_added_up() -> None:
    with pytest.raises(CannotReport, match="differ in commit: abc and def"):
        merged([run(1), replace(run(2), commit="def")])


def test_the_page_says_what_is_not_zero(tmp_path: Path) -> None:
    clean, broken = tmp_path / "clean.json", tmp_path / "broken.json"
    run(1, result(FIRST, 0.5)).write(clean)
    run(2, result(FIRST, 1.5, phantom=2)).write(broken)
    write_report(tmp_path / "faults.json", [clean])
    assert "Every column that has to be 0 is 0." in (tmp_path / "faults.md").read_text()
    write_report(tmp_path / "faults.json", [clean, broken])
    page = (tmp_path / "faults.md").read_text()
    assert "broken in 2 cases" in page
    assert (
        f"| {FIRST} | 2 | 2,000 | 0 | 0 | 2 | 0 | 0 | 0 | 0 | 0 | 1.5 s | 0.50 s | 1.50 s |" in page
    )


def test_a_run_of_later_code_is_shown_beside_the_published_one(tmp_path: Path) -> None:
    published, later = tmp_path / "published.json", tmp_path / "later.json"
    run(1, result(FIRST, 0.5)).write(published)
    replace(run(2, result(LAST, 1.5)), commit="def").write(later)
    write_report(tmp_path / "faults.json", [published])
    write_report(tmp_path / "faults.json", [later], since=True)
    page = (tmp_path / "faults.md").read_text()
    assert page.index(FIRST) < page.index("## Since then") < page.index(LAST)
    assert "commit def" in page
    write_report(tmp_path / "faults.json", [published])
    assert "Since then" not in (tmp_path / "faults.md").read_text()


def test_quantiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([7.0], 0.99)) == (50, 99, 7)
