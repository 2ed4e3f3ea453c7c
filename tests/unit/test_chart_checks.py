"""The checks of the chart find what they look for."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.chart_checks import ChartFault, compare_with_schemas, judge, render

FINDING = ("Deployment/task-api", "CPU limit is not set")
EXCEPTION = {"says": "CPU limit is not set", "object": "Deployment/.*", "reason": "…"}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "template", "spec", "terminationGracePeriod"), 30),
        ("Deployment", ("spec", "template", "spec", "terminationGracePeriodSeconds"), "30 s"),
        ("NetworkPolicy", ("spec", "podSelector", "matchLabel"), {}),
        ("Component", ("spec", "scopes"), ["task-api"]),
        ("Configuration", ("spec", "accessControl", "default"), "deny"),
        ("Resiliency", ("spec", "target"), {}),
        ("Subscription", ("spec", "deadLetter"), "task-events-dead"),
        ("Component", ("metadata", "scope"), "task-api"),
    ],
)
def test_a_field_that_does_not_exist_or_is_of_another_type_is_refused(
    tmp_path: Path, kind: str, path: tuple[str, ...], value: object
) -> None:
    documents = [each for each in yaml.safe_load_all(render()) if each]
    place: Any = next(each for each in documents if each["kind"] == kind)
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    manifest = tmp_path / "chart.yaml"
    manifest.write_text(yaml.safe_dump_all(documents))
    with pytest.raises(ChartFault, match=path[-1]):
        compare_with_schemas(manifest)


def test_what_the_chart_renders_is_accepted(tmp_path: Path) -> None:
    manifest = tmp_path / "chart.yaml"
    manifest.write_text(render())
    compare_with_schemas(manifest)


def test_a_finding_needs_an_exception() -> None:
    judge({FINDING}, [EXCEPTION])
    with pytest.raises(ChartFault, match="Deployment/task-api: CPU limit is not set"):
        judge({FINDING}, [])
    with pytest.raises(ChartFault, match="Job/x: CPU limit"):
        judge({FINDING, ("Job/x", FINDING[1])}, [EXCEPTION])


def test_an_exception_needs_a_finding() -> None:
    with pytest.raises(ChartFault, match="no longer says"):
        judge(set(), [EXCEPTION])
