"""The run file, the components and the settings of the services say the same."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI

import notification_service.main
import notification_service.settings
import task_api.main
import task_api.settings
from service_kit.settings import ServiceSettings
from tools.local_system import ROOT

APPS: dict[str, ServiceSettings] = {
    "task-api": task_api.settings.Settings(),
    "notification-service": notification_service.settings.Settings(),
}


def _load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


RUN_FILE = _load(ROOT / "dapr.yaml")
RESOURCES = [_load(path) for path in sorted((ROOT / "components").glob("*.yaml"))]


def _of_kind(kind: str) -> list[dict[str, Any]]:
    return [resource for resource in RESOURCES if resource["kind"] == kind]


def _taken(app: FastAPI) -> set[tuple[str, str, str]]:
    """Return the component, topic and path of what a service takes from its sidecar."""
    return {(each.component, each.topic, each.path) for each in app.state.subscriptions}


def _metadata(component: str) -> dict[str, str]:
    (found,) = [each for each in _of_kind("Component") if each["metadata"]["name"] == component]
    return {entry["name"]: entry["value"] for entry in found["spec"]["metadata"]}


@pytest.mark.parametrize("app", RUN_FILE["apps"], ids=lambda app: app["appID"])
def test_the_run_file_has_the_ports_and_names_of_the_settings(app: dict[str, Any]) -> None:
    settings = APPS[app["appID"]]
    assert settings.app_id == app["appID"]
    assert settings.app_port == app["appPort"]
    assert settings.dapr_http_port == app["daprHTTPPort"]
    assert settings.dapr_grpc_port == app["daprGRPCPort"]


def test_every_component_that_the_settings_name_exists_and_is_scoped() -> None:
    components = {each["metadata"]["name"]: each for each in _of_kind("Component")}
    for settings in APPS.values():
        for name in (settings.state_store, settings.pubsub, settings.secret_store):
            assert settings.app_id in components[name]["scopes"]
    assert components["changelog"]["scopes"] == ["task-api"]
    assert set(components) == {"statestore", "pubsub", "changelog", "secretstore"}


def test_every_subscription_leads_to_a_route_and_to_dead_letters() -> None:
    taken = {
        "task-api": _taken(task_api.main.create_app()),
        "notification-service": _taken(notification_service.main.create_app()),
    }
    delivered: dict[str, set[tuple[str, str, str]]] = {app_id: set() for app_id in APPS}
    for subscription in _of_kind("Subscription"):
        spec = subscription["spec"]
        (app_id,) = subscription["scopes"]
        delivered[app_id].add((spec["pubsubname"], spec["topic"], spec["routes"]["default"]))
        assert spec["metadata"] == {"rawPayload": "true"}
        assert spec["bulkSubscribe"]["enabled"]
        if spec["topic"] != "task-events-dead":
            assert spec["deadLetterTopic"] == "task-events-dead"
    assert delivered == taken


def test_the_intents_are_kept_to_task_api() -> None:
    assert "task-changes" not in _metadata("pubsub")["allowedTopics"].split(",")
    assert "task-changes" in _metadata("changelog")["allowedTopics"].split(",")


def test_topics_are_for_the_apps_that_need_them() -> None:
    metadata = _metadata("pubsub")
    topics = set(metadata["allowedTopics"].split(","))
    assert (
        set(metadata["protectedTopics"].split(","))
        == topics
        == {
            "task-events",
            "task-events-dead",
        }
    )
    for scopes in (metadata["publishingScopes"], metadata["subscriptionScopes"]):
        by_app = dict(scope.split("=") for scope in scopes.split(";"))
        assert set(by_app) == set(APPS)
        assert all(set(allowed.split(",")) <= topics for allowed in by_app.values())


@pytest.mark.parametrize("component", ["pubsub", "changelog"])
def test_streams_are_trimmed_in_one_way(component: str) -> None:
    assert int(_metadata(component)["maxLenApprox"]) >= 100_000
    assert "streamTTL" not in _metadata(component)


@pytest.mark.parametrize("component", ["pubsub", "changelog"])
def test_what_is_left_over_is_asked_for_in_the_one_form_that_dapr_reads(component: str) -> None:
    """Of `5s` Dapr 1.18 makes its default, 15 s, without a word."""
    assert int(_metadata(component)["redeliverInterval"]) == 5000


def test_resiliency_names_components_and_apps_that_exist() -> None:
    (resiliency,) = _of_kind("Resiliency")
    targets = resiliency["spec"]["targets"]
    assert set(targets["apps"]) <= set(APPS)
    components = {each["metadata"]["name"] for each in _of_kind("Component")}
    assert set(targets["components"]) == components
    for broker in ("pubsub", "changelog"):
        inbound = resiliency["spec"]["policies"]["retries"][
            targets["components"][broker]["inbound"]["retry"]
        ]
        assert inbound == {"policy": "constant", "duration": "1s", "maxRetries": -1}


def test_saves_are_not_repeated_by_the_sidecar() -> None:
    (resiliency,) = _of_kind("Resiliency")
    assert "retry" not in resiliency["spec"]["targets"]["components"]["statestore"]["outbound"]


def test_the_requirements_pin_what_the_packages_need_and_name_no_registry() -> None:
    pinned = (ROOT / "requirements.txt").read_text()
    assert "://" not in pinned
    for path in (*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")):
        for need in tomllib.loads(path.read_text())["project"]["dependencies"]:
            name = re.split(r"[\[>=]", need)[0]
            if not (ROOT / "libs" / name).exists():
                assert re.search(rf"^{name}==", pinned, re.MULTILINE), name


INFRASTRUCTURE_CLIENTS = {
    *("redis", "kafka", "aiokafka", "confluent_kafka", "pika", "psycopg", "asyncpg"),
    *("httpx", "httpx2", "requests"),
}


def _imports(source: Path) -> set[str]:
    """Return the top-level packages that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


SOURCES = [path for top in ("services", "libs") for path in sorted((ROOT / top).rglob("*.py"))]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_services_reach_infrastructure_only_through_dapr(source: Path) -> None:
    assert not _imports(source) & INFRASTRUCTURE_CLIENTS
    if source.name != "dapr_adapters.py":
        assert not _imports(source) & {"dapr", "aiohttp", "grpc"}
        assert "http://" not in source.read_text()
