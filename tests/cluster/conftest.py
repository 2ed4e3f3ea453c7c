"""One release of the chart, in a namespace of its own, that the tests on a cluster share."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.cluster.cluster import (
    DAPR_NAMESPACE,
    NOTIFICATIONS,
    CommandFailed,
    Container,
    Namespace,
    Release,
    kubectl,
    own_namespace,
    what_is_missing,
)
from tests.cluster.followed_logs import FollowedLogs
from tests.cluster.probe import Probe
from tests.cluster.report import CannotReport, Report
from tools.local_system import ROOT

PAGE = ROOT / "docs" / "kubernetes.md"
REPORT = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = Report()


def pytest_report_header() -> str:
    """Say which cluster is about to be disturbed."""
    with suppress(CommandFailed, OSError):
        return f"cluster: {kubectl('config', 'current-context').strip()}"
    return "cluster: none"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Show what was measured; write it where REPORT is set and nothing failed."""
    report = config.stash[REPORT]
    if not report:
        return
    terminalreporter.section("figures")
    terminalreporter.write_line(report.as_text())
    if os.environ.get("REPORT"):
        if exitstatus:
            terminalreporter.write_line("Tests failed, so the figures were not written.")
            return
        try:
            report.write(PAGE, _cluster())
        except CannotReport as error:
            terminalreporter.write_line(str(error))


@pytest.fixture(scope="session", autouse=True)
def a_cluster() -> None:
    """A cluster with Dapr, without which no test is worth a try."""
    if missing := what_is_missing():
        pytest.exit(missing, returncode=2)


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    return pytestconfig.stash[REPORT]


@pytest.fixture(scope="session")
def namespace() -> Iterator[Namespace]:
    with own_namespace() as namespace:
        yield namespace


@pytest.fixture(scope="session")
def release(namespace: Namespace, report: Report) -> Release:
    """The chart as it is installed by default, ready."""
    release = Release(namespace)
    began = time.monotonic()
    release.upgrade()
    report.note(f"`helm install --wait` took {time.monotonic() - began:.0f} s.")
    namespace.wait_until_whole()
    return release


@pytest.fixture(scope="session")
def probe(
    release: Release, report: Report, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Probe]:
    """A third app, which hears what is announced and makes load.

    In the end it looks again at the tasks of all loads: nothing may have come late.
    """
    logs = tmp_path_factory.mktemp("logs")
    with FollowedLogs(release.namespace, NOTIFICATIONS, logs):
        probe = Probe(release.namespace, logs, report)
        probe.deploy()
        yield probe
        assert probe.broken_in_the_end() == []


@pytest.fixture(scope="session")
def client(probe: Probe) -> Container:
    """Where requests come from that are not made by a service: the probe's own container."""
    return probe.container


def _cluster() -> str:
    """Return what the figures are measured on, in a line."""
    kubernetes = json.loads(kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    operator = Namespace(DAPR_NAMESPACE).get("deployment", "dapr-operator")
    image = operator["spec"]["template"]["spec"]["containers"][0]["image"]
    nodes = json.loads(kubectl("get", "nodes", "--output=json"))["items"]
    cores = ", ".join(node["status"]["capacity"]["cpu"] for node in nodes)
    return (
        f"Kubernetes {kubernetes}, Dapr {image.rpartition(':')[2]}, {len(nodes)} node(s) with"
        f" {cores} cores"
    )
