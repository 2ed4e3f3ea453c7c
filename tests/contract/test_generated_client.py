"""A client that an ordinary generator makes of the OpenAPI documents does the whole flow."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Client

from tests.eventually import eventually
from tools.local_system import ROOT, LocalSystem

GENERATOR = ROOT / ".venv" / "bin" / "openapi-python-client"


class Generated:
    """The package of a generated client, connected to a service while it is entered."""

    def __init__(self, package: str, url: str) -> None:
        self._package = package
        self._client = importlib.import_module(package).Client(base_url=url)

    def __enter__(self) -> "Generated":
        self._client.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._client.__exit__(*error)

    def call(self, tag: str, operation: str, *arguments: object, **parameters: object) -> Any:
        """Call an operation and return the whole response, parsed."""
        module = importlib.import_module(f"{self._package}.api.{tag}.{operation}")
        call: Callable[..., Any] = module.sync_detailed
        return call(*arguments, client=self._client, **parameters)

    def model(self, name: str) -> Any:
        return getattr(importlib.import_module(f"{self._package}.models"), name)


@pytest.fixture(scope="module")
def generated(
    system: LocalSystem, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Generated]]:
    folder = tmp_path_factory.mktemp("generated")
    sys.path.insert(0, str(folder))
    with ExitStack() as stack:
        yield {
            app_id: stack.enter_context(_generate(system.url(app_id), app_id, folder))
            for app_id in system.ports.apps
        }
    sys.path.remove(str(folder))


def _generate(url: str, app_id: str, folder: Path) -> Generated:
    document, config = folder / f"{app_id}.json", folder / "config.yaml"
    with Client(base_url=url) as client:
        document.write_text(json.dumps(client.get("/openapi.json").json()))
    config.write_text("post_hooks: []\n")
    package = f"{app_id.replace('-', '_')}_client"
    made = subprocess.run(
        [
            *(GENERATOR, "generate", "--path", document, "--config", config, "--meta", "none"),
            *("--output-path", folder / package, "--fail-on-warning"),
        ],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return Generated(package, url)


def test_tasks_are_created_listed_changed_and_deleted(generated: dict[str, Generated]) -> None:
    api = generated["task-api"]
    assignee = str(uuid4())
    wanted = api.model("TaskCreate")(title="Learn Dapr", assignee=assignee, description="all of it")
    created = api.call("tasks", "create_task", body=wanted, idempotency_key=assignee)
    task = created.parsed
    assert (created.status_code, task.title, task.version) == (201, "Learn Dapr", 1)
    again = api.call("tasks", "create_task", body=wanted, idempotency_key=assignee)
    assert again.parsed.id == task.id

    listed = api.call("tasks", "list_tasks", assignee=assignee, limit=1).parsed
    assert [each.id for each in listed.items] == [task.id]
    etag = created.headers["etag"]
    assert api.call("tasks", "get_task", task.id, if_none_match=etag).status_code == 304

    patch = api.model("TaskPatch")(priority=5)
    patched = api.call("tasks", "patch_task", task.id, body=patch, if_match=etag).parsed
    assert (patched.title, patched.description, patched.priority) == ("Learn Dapr", "all of it", 5)
    late = api.call("tasks", "patch_task", task.id, body=patch, if_match=etag)
    assert isinstance(late.parsed, api.model("Problem"))
    assert late.parsed.status == late.status_code == 412

    status = api.model("TaskStatus").COMPLETED
    done = api.call("tasks", "set_task_status", task.id, status=status).parsed
    assert done.status is status
    history = api.call("tasks", "get_task_history", task.id).parsed
    assert [each.version for each in history.items] == [3, 2, 1]
    assert api.call("tasks", "delete_task", task.id).status_code == 204
    assert api.call("tasks", "get_task", task.id).parsed.status == 404


def test_notifications_preferences_and_dead_letters_are_read(
    generated: dict[str, Generated],
) -> None:
    tasks, api = generated["task-api"], generated["notification-service"]
    recipient = str(uuid4())
    wanted = tasks.model("TaskCreate")(title="Learn Dapr", assignee=recipient)
    task = tasks.call("tasks", "create_task", body=wanted).parsed
    completed = tasks.model("TaskStatus").COMPLETED
    tasks.call("tasks", "set_task_status", task.id, status=completed)
    page = eventually(
        lambda: api.call("notifications", "list_notifications", recipient=recipient).parsed.items
    )
    assert [each.task_id for each in page] == [task.id]
    feed = api.call("activity", "list_activity", limit=100).parsed
    assert task.id in [each.task_id for each in feed.items]

    assert api.call("preferences", "get_preferences", recipient).status_code == 204
    settings = api.model("PutPreferencesSettings").from_dict({"channel": "mail", "quiet": [22, 7]})
    api.call("preferences", "put_preferences", recipient, body=settings)
    kept = api.call("preferences", "get_preferences", recipient).parsed
    assert kept.to_dict() == {"channel": "mail", "quiet": [22, 7]}

    assert api.call("dead_letters", "list_dead_letters", limit=1).status_code == 200
    missing = api.call("dead_letters", "replay_dead_letter", "0" * 32)
    assert missing.parsed.status == missing.status_code == 404
