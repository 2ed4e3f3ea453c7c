"""Checks the Helm chart without a cluster: `make check-chart`."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools import chart_schemas, parts
from tools.local_system import ROOT

CHART = ROOT / "helm"
EXCEPTIONS = CHART / "ci" / "kube-score-exceptions.yaml"
# The values that the chart is rendered with, beside its defaults.
VARIANTS: dict[str, Path | None] = {
    "defaults": None,
    "everything": CHART / "ci" / "everything.yaml",
    "existing": CHART / "ci" / "existing.yaml",
    "openshift": CHART / "ci" / "openshift.yaml",
}
# Their schemas are in no module of Dapr or Kubernetes; they are short, and tests look at them.
KINDS_WITHOUT_SCHEMA = ("ServiceMonitor", "HTTPRoute")
WARNING = 5
"""kube-score gives 10 points at most, 5 for a warning and 1 for what it finds critical."""


class ChartFault(Exception):
    """A check found something; the text says what, and what to do."""


def render(values: Path | None = None, *more: str) -> str:
    """Return what `helm template` makes of the chart.

    Raises:
        ChartFault: the chart refused.
    """
    return _run(
        "See helm/templates.",
        *(parts.helm(), "template", "tasks", CHART, "--namespace", "tasks"),
        *("--kube-version", parts.KUBERNETES, *_values(values), *more),
    )


def lint(values: Path | None) -> None:
    _run(
        "See helm/Chart.yaml and helm/values.yaml.",
        *(parts.helm(), "lint", CHART, "--strict", "--quiet"),
        *("--kube-version", parts.KUBERNETES, *_values(values)),
    )


def compare_with_schemas(manifest: Path) -> None:
    _run(
        "A field is misspelt, at the wrong place, or of another type: see the template of that"
        " object.",
        *(parts.kubeconform(), "-strict", "-skip", ",".join(KINDS_WITHOUT_SCHEMA)),
        *("-schema-location", chart_schemas.schemas() / chart_schemas.LOCATION, manifest),
    )


def score(manifest: Path) -> Iterator[tuple[str, str]]:
    """Yield what kube-score finds critical or worth a warning, as the object and what it says."""
    answer = subprocess.run(
        [
            *(parts.kube_score(), "score", "--output-format", "json"),
            *("--kubernetes-version", f"v{parts.KUBERNETES.rpartition('.')[0]}", manifest),
        ],
        capture_output=True,
        text=True,
    )
    try:
        objects = json.loads(answer.stdout)
    except ValueError as error:
        raise ChartFault(f"kube-score: {answer.stdout}{answer.stderr}") from error
    for each in objects:
        name = f"{each['type_meta']['kind']}/{each['object_meta']['name']}"
        for check in each["checks"]:
            if check["grade"] <= WARNING and not check["skipped"]:
                for comment in check["comments"] or ({"summary": check["check"]["name"]},):
                    yield name, comment["summary"]


def judge(findings: set[tuple[str, str]], exceptions: list[dict[str, str]]) -> None:
    """Compare what kube-score found with the exceptions.

    Raises:
        ChartFault: there is something that is no exception, or an exception that is not needed.
    """
    used = set()
    faults = []
    for name, says in sorted(findings):
        found = [
            index
            for index, exception in enumerate(exceptions)
            if exception["says"] == says and re.fullmatch(exception["object"], name)
        ]
        used.update(found)
        if not found:
            faults.append(f"{name}: {says}")
    stale = [each["says"] for index, each in enumerate(exceptions) if index not in used]
    where = EXCEPTIONS.relative_to(ROOT)
    if faults:
        lines = "\n".join(faults)
        raise ChartFault(f"kube-score:\n{lines}\nMend it, or say in {where} why it stays so.")
    if stale:
        raise ChartFault(f"kube-score no longer says {stale}: take it out of {where}.")


def run_tests() -> str:
    """Run the suites in helm/tests; return what they say."""
    output = _run("See helm/tests.", parts.helm_unittest(), "--strict", CHART)
    match = re.search(r"^Tests:\s+(.*)$", output, re.MULTILINE)
    return match[1] if match else output


def _values(values: Path | None) -> tuple[str | Path, ...]:
    return ("--values", values) if values else ()


def _run(mend: str, *command: str | Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        said = f"{result.stdout}{result.stderr}".strip()
        raise ChartFault(f"{Path(command[0]).name}: {said}\n{mend}")
    return result.stdout


def main() -> None:
    exceptions: list[dict[str, str]] = yaml.safe_load(EXCEPTIONS.read_text())
    findings: set[tuple[str, str]] = set()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for variant, values in VARIANTS.items():
                lint(values)
                manifest = Path(folder) / f"{variant}.yaml"
                manifest.write_text(render(values))
                compare_with_schemas(manifest)
                findings.update(score(manifest))
                objects: list[Any] = list(yaml.safe_load_all(manifest.read_text()))
                print(f"{variant}: {len(objects)} objects are as helm and their schemas want them.")
        judge(findings, exceptions)
        print(f"kube-score: nothing but {len(exceptions)} exceptions, each with its reason.")
        print(f"helm-unittest: {run_tests()}")
    except (ChartFault, parts.PartMissing) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
