"""What runs on one machine and what the chart installs are the same system."""

from typing import Any

import pytest
import yaml

from tools import parts
from tools.chart_checks import CHART, render
from tools.local_system import ROOT

Resource = dict[str, Any]

# Where the infrastructure is, and how much it holds, which is not the same.
OF_THE_PLACE = {"redisHost", "redisPassword", "maxLenApprox"}
# Keys of a file on one machine, Secrets on Kubernetes.
SECRET_STORES = ("secretstores.local.file", "secretstores.kubernetes")


@pytest.fixture(scope="module")
def chart() -> list[Resource]:
    return [each for each in yaml.safe_load_all(render()) if each]


@pytest.fixture(scope="module")
def local() -> list[Resource]:
    return [yaml.safe_load(path.read_text()) for path in (ROOT / "components").glob("*.yaml")]


def _of_kind(kind: str, resources: list[Resource]) -> dict[str, Resource]:
    return {each["metadata"]["name"]: each for each in resources if each["kind"] == kind}


def _without_names(resource: Resource) -> Resource:
    """Return what a resource says, without what it is called and labelled."""
    return {name: value for name, value in resource.items() if name != "metadata"}


def _settings(component: Resource) -> dict[str, str]:
    metadata = component["spec"]["metadata"]
    return {each["name"]: each["value"] for each in metadata if each["name"] not in OF_THE_PLACE}


def test_apps_and_their_ports(chart: list[Resource]) -> None:
    run_file = yaml.safe_load((ROOT / "dapr.yaml").read_text())
    deployed = {}
    for deployment in _of_kind("Deployment", chart).values():
        template = deployment["spec"]["template"]
        annotations = template["metadata"].get("annotations", {})
        if annotations.get("dapr.io/enabled") == "true":
            port = int(annotations["dapr.io/app-port"])
            deployed[annotations["dapr.io/app-id"]] = port
            (container,) = template["spec"]["containers"]
            assert [each["containerPort"] for each in container["ports"]] == [port]
    assert deployed == {app["appID"]: app["appPort"] for app in run_file["apps"]}


def test_components(chart: list[Resource], local: list[Resource]) -> None:
    here, there = _of_kind("Component", local), _of_kind("Component", chart)
    assert set(here) == set(there)
    for name in here:
        assert here[name]["scopes"] == there[name]["scopes"], name
        assert here[name]["spec"]["version"] == there[name]["spec"]["version"], name
        types = (here[name]["spec"]["type"], there[name]["spec"]["type"])
        if name == "secretstore":
            assert types == SECRET_STORES
        else:
            assert types[0] == types[1], name
            # The topics with their scopes, and how streams are read.
            assert _settings(here[name]) == _settings(there[name]), name


@pytest.mark.parametrize("kind", ["Subscription", "Resiliency"])
def test_what_says_the_same_everywhere(
    kind: str, chart: list[Resource], local: list[Resource]
) -> None:
    here, there = _of_kind(kind, local), _of_kind(kind, chart)
    assert set(here) == set(there)
    for name in here:
        assert _without_names(here[name]) == _without_names(there[name]), name


def test_what_sidecars_trace_and_log(chart: list[Resource]) -> None:
    here = yaml.safe_load((ROOT / "dapr-config.yaml").read_text())["spec"]
    configurations = _of_kind("Configuration", chart)
    assert set(configurations) == {"task-api", "notification-service"}
    for name, there in configurations.items():
        for part in ("tracing", "logging"):
            assert there["spec"][part] == here[part], name


def test_new_pods_come_with_new_dapr_resources() -> None:
    def checksums(*arguments: str) -> set[str]:
        deployments = _of_kind("Deployment", list(yaml.safe_load_all(render(None, *arguments))))
        return {
            deployments[name]["spec"]["template"]["metadata"]["annotations"]["checksum/dapr"]
            for name in ("task-api", "notification-service")
        }

    existing = render(CHART / "ci" / "existing.yaml")
    assert checksums() == checksums("--set", "taskApi.replicas=3")
    assert not any(checksum in existing for checksum in checksums())


def test_tilt_installs_the_dapr_that_runs_here() -> None:
    assert f"DAPR = '{parts.DAPR}'" in (ROOT / "Tiltfile").read_text().splitlines()
