"""The app token is changed, and the sidecar of a running service starts again with the new one."""

import json

from httpx2 import Client

from tests.contract.test_task_api_http import create
from tests.e2e.test_flow import complete, notified
from tests.eventually import eventually
from tools.local_system import LocalSystem
from tools.tokens import SECRETS

APP_TOKEN = "app-api-token"


def rotate(system: LocalSystem, app_id: str) -> None:
    """Change the app token in the secret store, and restart a sidecar as a kubelet would."""
    secrets = system.state / SECRETS
    token = f"{system.tokens[APP_TOKEN]}-rotated"
    secrets.write_text(json.dumps({**json.loads(secrets.read_text()), APP_TOKEN: token}))
    system.restart_after(system.sidecar(app_id), lambda: None, APP_API_TOKEN=token)


def test_events_are_delivered_without_a_restart_of_the_service(breakable: LocalSystem) -> None:
    with (
        Client(base_url=breakable.url("task-api"), timeout=30) as tasks,
        Client(base_url=breakable.url("notification-service"), timeout=30) as notifications,
    ):
        service = breakable.app("task-api").pid
        rotate(breakable, "task-api")
        breakable.wait_until_ready("task-api")
        task = create(tasks)
        complete(tasks, task["id"])
        eventually(lambda: notified(notifications, task["id"]), within=30)
        assert breakable.app("task-api").pid == service
