"""One machine is enough: no other network, and nobody on it gets in."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from httpx2 import Client

from tests.contract.test_task_api_http import create
from tests.e2e.test_flow import complete, notified
from tests.eventually import eventually
from tools.local_system import ROOT, LocalSystem

NOWHERE = "http://192.0.2.1:1"  # RFC 5737: of no network


def test_it_works_without_a_network(tmp_path: Path) -> None:
    command = ["unshare", "--map-root-user", "--net", sys.executable, "-m"]
    subprocess.run(
        [*command, "tests.e2e.loopback_alone", str(tmp_path)], cwd=ROOT, check=True, timeout=100
    )


def test_what_the_shell_says_of_proxies_and_other_sidecars_makes_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, NOWHERE)
    monkeypatch.setenv("DAPR_HTTP_ENDPOINT", NOWHERE)
    monkeypatch.setenv("DAPR_GRPC_ENDPOINT", NOWHERE)
    monkeypatch.setenv("DAPR_API_TOKEN", "of another sidecar")
    monkeypatch.setenv("NAMESPACE", "of-another-system")
    with (
        LocalSystem.for_test(tmp_path) as system,
        Client(base_url=system.url("task-api"), trust_env=False) as tasks,
        Client(base_url=system.url("notification-service"), trust_env=False) as notifications,
    ):
        task = create(tasks)
        complete(tasks, task["id"])
        eventually(lambda: notified(notifications, task["id"]))


def test_nothing_listens_to_other_machines(system: LocalSystem) -> None:
    # Dapr 1.18 reads --healthz-listen-address of its scheduler and does not use it.
    health = system.ports.scheduler["health"]
    listening = [
        connection.laddr
        for process in system.left_behind()
        for connection in process.net_connections("inet")
        if connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
    ]
    others = [each for each in listening if each.port != health]
    assert len(others) >= 10  # two services, four ports of each sidecar, Redis, the scheduler's
    assert {each.ip for each in others} == {"127.0.0.1"}


def test_no_sidecar_looks_for_a_placement_service(system: LocalSystem) -> None:
    """It would report four times a second that there is none."""
    for app_id in system.ports.apps:
        lines = system.log(f"{app_id}-sidecar").read_text().splitlines()
        assert lines
        assert not [line for line in lines if "level=error" in line and "placement" in line]
