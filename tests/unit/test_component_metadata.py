"""Every value of a component is written in a form that the component reads."""

import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tools.chart_checks import VARIANTS, render
from tools.local_system import ROOT
from tools.resources.component_metadata import OF_TYPE, complaint

FOLDERS = (ROOT / "components", ROOT / "benchmarks" / "components", ROOT / "tests" / "cluster")
UNITS = st.sampled_from(["ms", "s", "m", "h"])
WHOLE = st.integers(min_value=0, max_value=10**12).map(str)


def _complaints(text: str) -> list[str]:
    found = []
    for resource in yaml.safe_load_all(text):
        if resource and resource.get("kind") == "Component":
            spec = resource["spec"]
            for item in spec.get("metadata", ()):
                found.append(complaint(spec["type"], item["name"], item.get("value")))
    return [each for each in found if each]


@pytest.mark.parametrize(
    "path",
    [path for folder in FOLDERS for path in sorted(folder.glob("*.yaml"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_components_here_are_read_as_they_are_written(path: Path) -> None:
    assert _complaints(path.read_text()) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_components_of_the_chart_are_read_as_they_are_written(variant: str) -> None:
    assert _complaints(render(VARIANTS[variant])) == []


@given(WHOLE, UNITS)
def test_an_interval_that_is_read_in_milliseconds_has_no_unit(number: str, unit: str) -> None:
    assert complaint("pubsub.redis", "redeliverInterval", number) is None
    assert complaint("pubsub.redis", "redeliverInterval", f"{number}{unit}")
    assert complaint("pubsub.redis", "processingTimeout", f"{number}{unit}") is None


@given(st.text(string.ascii_letters, min_size=1))
def test_a_name_that_is_not_read_is_refused(name: str) -> None:
    is_read = name in OF_TYPE["secretstores.local.file"]
    assert (complaint("secretstores.local.file", name, "x") is None) == is_read


@given(st.text(min_size=1), st.text())
def test_what_a_type_of_ones_own_reads_is_left_to_it(name: str, value: str) -> None:
    assert complaint("state.postgresql", name, value) is None


@given(st.text())
def test_a_number_is_digits(value: str) -> None:
    is_number = value.isascii() and value.isdigit() and len(value) <= 18
    assert (complaint("pubsub.redis", "concurrency", value) is None) == is_number


@pytest.mark.parametrize("value", [5000, 0, "0", True])
def test_a_value_without_quotes_is_read_as_its_text(value: object) -> None:
    refused = complaint("pubsub.redis", "redeliverInterval", value)
    assert bool(refused) == isinstance(value, bool)


def test_a_value_from_a_secret_has_any_form() -> None:
    assert complaint("pubsub.redis", "concurrency", None) is None
