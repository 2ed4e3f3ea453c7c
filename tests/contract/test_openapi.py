"""The OpenAPI documents: whatever a client sends, the answer is one that they promise."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from shared_models import (
    DeadLetter,
    Notification,
    NotificationRequest,
    Task,
    TaskCreate,
    TaskEvent,
    TaskPatch,
)
from tests.served import create_notification_service, create_task_api, served
from tools.local_system import ROOT, LocalSystem

SCHEMATHESIS = ROOT / ".venv" / "bin" / "schemathesis"
APPS = {"task-api": create_task_api(), "notification-service": create_notification_service()}
NAMES = {
    "task-api": {
        *("health", "ready", "create_task", "list_tasks", "get_task", "replace_task"),
        *("patch_task", "set_task_status", "delete_task", "get_task_history"),
    },
    "notification-service": {
        *("health", "ready", "notify", "list_notifications", "stream_notifications"),
        *("list_activity", "stream_activity", "get_preferences", "put_preferences"),
        *("post_preferences", "list_dead_letters", "discard_dead_letters", "get_dead_letter"),
        *("replay_dead_letters", "replay_dead_letter", "discard_dead_letter"),
    },
}


@pytest.fixture(params=["in memory", "on Dapr"])
def url(request: pytest.FixtureRequest, app_id: str) -> Iterator[str]:
    """The address of a service that runs."""
    if request.param == "on Dapr":
        system: LocalSystem = request.getfixturevalue("system")
        yield system.url(app_id)
    else:
        with served(app_id.replace("-", "_")) as service:
            yield f"http://127.0.0.1:{service.port}"


@pytest.mark.parametrize("app_id", APPS)
def test_schemathesis_finds_nothing(url: str, app_id: str, tmp_path: Path) -> None:
    found = subprocess.run(
        [
            *(SCHEMATHESIS, "--config-file", ROOT / "schemathesis.toml", "run"),
            *(f"{url}/openapi.json", "--checks", "all", "--max-examples", "30"),
            *("--seed", "1", "--generation-database", "none", "--no-color"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Failures:" not in found.stdout


def operations(app: FastAPI) -> dict[str, dict[str, Any]]:
    """Return the documented operations by their ids."""
    return {
        operation["operationId"]: operation
        for path in app.openapi()["paths"].values()
        for operation in path.values()
    }


@pytest.mark.parametrize("app_id", APPS)
def test_operations_have_the_names_of_the_functions(app_id: str) -> None:
    assert set(operations(APPS[app_id])) == NAMES[app_id]


@pytest.mark.parametrize("app_id", APPS)
def test_every_operation_is_described(app_id: str) -> None:
    for name, operation in operations(APPS[app_id]).items():
        assert operation.get("description"), name


@pytest.mark.parametrize(
    "model", [TaskCreate, TaskPatch, Task, TaskEvent, Notification, NotificationRequest, DeadLetter]
)
def test_examples_are_real(model: type[BaseModel]) -> None:
    (example,) = model.model_json_schema()["examples"]
    read = model.model_validate(example)
    assert read.model_dump(mode="json", exclude_unset=True) == example
    assert not read.model_extra


@pytest.mark.parametrize("app_id", APPS)
def test_every_error_is_the_one_problem_and_is_listed_by_its_status(app_id: str) -> None:
    schemas = APPS[app_id].openapi()["components"]["schemas"]
    assert [name for name in schemas if "Problem" in name or "Error" in name] == ["Problem"]
    for name, operation in operations(APPS[app_id]).items():
        errors = {status: each for status, each in operation["responses"].items() if status > "399"}
        assert {"400", "422"} <= set(errors), name
        for status, response in errors.items():
            assert status.isdigit(), name
            (media_type,) = response["content"]
            assert media_type == "application/problem+json"
            schema = response["content"][media_type]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}
        assert "headers" in errors.get("503", {"headers": ()}), name


def test_headers_and_patterns_of_tasks_are_documented() -> None:
    tasks = operations(APPS["task-api"])
    assert {"ETag", "Location"} <= set(tasks["create_task"]["responses"]["201"]["headers"])
    for name in ("get_task", "replace_task", "patch_task", "set_task_status"):
        assert "ETag" in tasks[name]["responses"]["200"]["headers"]
        parameters = {each["name"]: each["schema"] for each in tasks[name]["parameters"]}
        for header in ("If-Match", "If-None-Match"):
            pattern = re.compile(parameters[header]["pattern"])
            assert pattern.fullmatch('W/"1", "2"')
            assert not pattern.fullmatch("1")
    cursor = {each["name"]: each["schema"] for each in tasks["list_tasks"]["parameters"]}["cursor"]
    assert cursor["type"] == "string"
    assert "pattern" in cursor


def test_a_patch_is_documented_as_one_without_defaults() -> None:
    body = operations(APPS["task-api"])["patch_task"]["requestBody"]["content"]
    assert list(body) == ["application/merge-patch+json"]
    patch = APPS["task-api"].openapi()["components"]["schemas"]["TaskPatch"]
    assert not any("default" in field for field in patch["properties"].values())
    assert "required" not in patch


@pytest.mark.parametrize("app_id", APPS)
def test_the_page_needs_no_other_host(app_id: str) -> None:
    with TestClient(APPS[app_id]) as api:
        page = api.get("/docs")
        assert page.status_code == 200
        assert re.search(r"https?://", page.text) is None
        assert '"validatorUrl": null' in page.text
        parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(parts) == 3
        for part in parts:
            assert api.get(part).status_code == 200
