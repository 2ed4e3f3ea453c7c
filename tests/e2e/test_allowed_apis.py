"""The allow-list of the chart lets a service read what its sidecar has, and nothing like it."""

from collections.abc import Iterator

import pytest
import yaml
from httpx2 import Client, ConnectError

from tests.eventually import eventually
from tools import parts
from tools.chart_checks import render
from tools.local_system import LocalSystem
from tools.ports import HERE


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A sidecar with the configuration that the chart gives task-api."""
    system = LocalSystem.for_test(tmp_path_factory.mktemp("sidecar"))
    try:
        url = _start(system)
        with Client(base_url=url) as client:
            eventually(lambda: _answers(client))
            yield client
    finally:
        system.stop()


def _start(system: LocalSystem) -> str:
    documents = [each for each in yaml.safe_load_all(render()) if each]
    (configuration,) = (
        each
        for each in documents
        if (each["kind"], each["metadata"]["name"]) == ("Configuration", "task-api")
    )
    path = system.state / "chart.yaml"
    path.write_text(yaml.safe_dump(configuration))
    ports = system.ports.apps["task-api"]
    command = [
        *(str(parts.daprd()), "--app-id", "task-api", "--config", str(path)),
        *("--dapr-listen-addresses", HERE, "--dapr-http-port", str(ports["daprHTTPPort"])),
        *("--dapr-grpc-port", str(ports["daprGRPCPort"]), "--enable-metrics=false"),
        *("--dapr-internal-grpc-port", str(ports["daprInternalGRPCPort"])),
        *("--dapr-internal-grpc-listen-address", HERE),
    ]
    system.run_beside("sidecar", command)
    return f"http://{HERE}:{ports['daprHTTPPort']}"


def _answers(sidecar: Client) -> bool:
    try:
        return sidecar.get("/v1.0/healthz/outbound").is_success
    except ConnectError:
        return False


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1.0/metadata", 200),
        ("PUT", "/v1.0/metadata/name", 404),
        ("GET", "/v1.0/state/statestore/key", 404),
        ("POST", "/v1.0/shutdown", 404),
    ],
)
def test_what_a_sidecar_answers(sidecar: Client, method: str, path: str, status: int) -> None:
    assert sidecar.request(method, path).status_code == status
