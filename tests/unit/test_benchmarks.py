"""What the benchmark makes of its figures: ratios, verdicts, the report."""

import re
from pathlib import Path

import pytest

from benchmarks import plots, report, wrk
from benchmarks.flow import _counts
from benchmarks.goals import Verdict, verdicts
from benchmarks.measurements import (
    Announcing,
    Growth,
    GrowthPoint,
    Outbox,
    Results,
    Sample,
    Samples,
    Spread,
    UpdatesChunk,
)
from benchmarks.outbox import _mark
from benchmarks.systems import SYSTEMS
from tools.parts import PartMissing


def _sample(system: str, round: int, per_second: float, **other: object) -> Sample:
    fields = {"work": "post", "connections": 16, "requests": 100, "p50_ms": 1, "p99_ms": 2}
    given = {"system": system, "round": round, "per_second": per_second}
    return Sample.model_validate({**fields, **given, **other})


def _samples(**per_second: list[float]) -> Samples:
    return Samples(
        samples=[
            _sample(system, round, each)
            for system, rounds in per_second.items()
            for round, each in enumerate(rounds, start=1)
        ]
    )


def _results(**parts: object) -> Results:
    fixed = {"commit": "c0ffee", "machine": {"cores": "2"}, "command": "x", "rounds": 3}
    return Results.model_validate({**fixed, "seconds": 1, **parts})


def test_a_ratio_is_of_the_same_round() -> None:
    # The machine is half as fast in the second round, for both.
    samples = _samples(ours=[1000, 500, 1200], naive=[100, 50, 100])
    assert samples.throughput_ratio("post", 16, "ours", "naive") == Spread(10, 10, 12)


@pytest.mark.parametrize(
    ("median", "at_least", "met", "missed_by"),
    [
        (10.0, True, True, 0),
        (9.0, True, False, 0.1),
        (1.2, False, True, 0),
        (12.0, False, False, 0.2),
    ],
)
def test_a_verdict_says_by_how_much_a_goal_is_missed(
    median: float, at_least: bool, met: bool, missed_by: float
) -> None:
    bound = 1.2 if median == 1.2 else 10.0
    verdict = Verdict("work", Spread(median, median, median), "×", bound, at_least)
    assert verdict.met is met
    assert verdict.missed_by == pytest.approx(missed_by)


def test_only_what_was_measured_is_judged() -> None:
    assert verdicts(_results()) == []
    judged = verdicts(_results(throughput=_samples(ours=[900], naive=[100])))
    assert [(verdict.bound, verdict.met) for verdict in judged] == [(10, False)]


def test_growth_is_relative_to_the_empty_service_beside_it() -> None:
    # With ten times the tasks everything takes twice as long, the empty service too.
    points = [
        GrowthPoint(
            tasks=tasks,
            work="get",
            repeat=1,
            p50_ms=factor,
            per_second=100 / factor,
            empty_p50_ms=factor / 10,
            empty_per_second=1000 / factor,
        )
        for tasks, factor in ((1_000, 1), (10_000, 2))
    ]
    growth = Growth(points=points)
    assert growth.against_smallest("get", 10_000, latency=True).median == pytest.approx(1)
    assert growth.against_smallest("get", 10_000, latency=False).median == pytest.approx(1)
    assert all(verdict.met for verdict in verdicts(_results(growth=growth)))


def test_a_document_that_grows_is_a_missed_goal() -> None:
    chunks = [
        UpdatesChunk(
            updates=updates,
            per_second=1,
            p50_ms=1,
            p99_ms=1,
            empty_p50_ms=1,
            document_bytes=updates,
        )
        for updates in (1_000, 2_000)
    ]
    speed, size = verdicts(_results(updates=chunks))
    assert speed.met
    assert size.missed_by == pytest.approx(2 / 1.05 - 1)


def test_the_outbox_is_compared_by_rate_and_by_delay() -> None:
    def announcing(rate: float, delay: float, lone: float) -> Announcing:
        return Announcing(
            events=500, drained_per_second=[rate], delays_ms=[delay], lone_delays_ms=[lone]
        )

    both = Outbox(ours=announcing(1_800, 100, 10), built_in=announcing(10, 25_000, 1_000))
    rate, at_once, lone = verdicts(_results(outbox=both))
    assert (rate.measured.median, rate.met) == (180, True)
    assert (at_once.measured.median, at_once.met) == (0.004, True)
    assert (lone.measured.median, lone.met) == (0.01, True)


@pytest.mark.parametrize(
    "text",
    [
        '{"data":{"task_id":"7d444840-9dc0-41d1-b245-5ffdce74fad2"},"id":"7d444840:1"}',
        r'{"data":"{\"id\": \"7d444840-9dc0-41d1-b245-5ffdce74fad2\"}","id":"outbox-1"}',
    ],
)
def test_an_event_is_found_by_its_task(text: str) -> None:
    assert _mark(text) == "7d444840-9dc0-41d1-b245-5ffdce74fad2"


def test_what_ends_after_the_load_counts_in_no_window() -> None:
    assert _counts([0.1, 1.5, 4.9, 5.0, 7.0], seconds=5) == [1, 1, 0, 0, 1]


def test_errors_in_answers_are_shown(tmp_path: Path) -> None:
    samples = _samples(ours=[1], naive=[1])
    samples.samples.append(_sample("ours", 2, 1, errors={"status": 7}))
    samples.samples.append(_sample("naive", 2, 1))
    [error] = samples.errors()
    assert error == "post on 16 connections against ours, round 2: 7 × status"
    assert error in report.write(_results(throughput=samples), tmp_path).read_text()


def test_the_report_is_the_same_when_written_again(tmp_path: Path) -> None:
    results = _results(throughput=_samples(**{system: [10.0, 20.0] for system in SYSTEMS}))
    report.write(results, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    report.write(report.read(tmp_path), tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(first) == 4


def test_what_the_report_points_to_is_there(tmp_path: Path) -> None:
    text = report.write(_results(throughput=_samples(ours=[1], empty=[1])), tmp_path).read_text()
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets
    assert all((tmp_path / target).exists() for target in targets)


def test_every_system_has_a_style_in_the_plots() -> None:
    assert set(plots.STYLES) == set(SYSTEMS)


def test_a_missing_load_generator_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PartMissing, match="apt install wrk"):
        wrk.wrk()
