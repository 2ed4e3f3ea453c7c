"""A plain `dapr run -f .`, which sets no tokens, runs the same file."""

from pathlib import Path

from httpx2 import Client

from tests.contract.test_task_api_http import create
from tests.e2e.test_flow import complete, notified
from tests.eventually import eventually
from tools.local_system import LocalSystem


def test_without_tokens_a_completed_task_is_notified(tmp_path: Path) -> None:
    with (
        LocalSystem.for_test(tmp_path, shows_tokens=False) as system,
        Client(base_url=system.url("task-api")) as tasks,
        Client(base_url=system.url("notification-service")) as notifications,
    ):
        task = create(tasks)
        complete(tasks, task["id"])
        eventually(lambda: notified(notifications, task["id"]), within=5)
        assert "callbacks_not_authenticated" in system.log("dapr").read_text()
