"""A plain `dapr run -f .`, which sets no tokens, runs the same file."""

from pathlib import Path

from httpx2 import Client

from tests.contract.test_task_api_http import create
from tests.e2e.test_flow import complete, notified
from tests.eventually import eventually
from tools import parts
from tools.local_system import LocalSystem


def test_without_tokens_a_completed_task_is_notified(tmp_path: Path) -> None:
    system = LocalSystem.for_test(tmp_path)
    daprd = tmp_path / "runtime" / ".dapr" / "bin" / "daprd"
    daprd.parent.mkdir(parents=True)
    daprd.symlink_to(parts.daprd())
    try:
        system.make_tokens()
        system.start_redis()
        system.start_scheduler()
        cli = ["env", f"DAPR_RUNTIME_PATH={tmp_path / 'runtime'}", str(parts.dapr_cli())]
        system.run_beside("dapr", [*cli, "run", "-f", str(tmp_path / "dapr.yaml")])
        for app_id in system.ports.apps:
            system.wait_until_ready(app_id)
        with (
            Client(base_url=system.url("task-api")) as tasks,
            Client(base_url=system.url("notification-service")) as notifications,
        ):
            task = create(tasks)
            complete(tasks, task["id"])
            eventually(lambda: notified(notifications, task["id"]), within=5)
        assert "callbacks_not_authenticated" in system.log("dapr").read_text()
    finally:
        system.stop()
