"""Services on a real server and on in-memory adapters, each in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar

from fastapi import FastAPI
from httpx2 import Client, ConnectError

import notification_service.in_memory_adapters
import notification_service.main
import notification_service.settings
import task_api.in_memory_adapters
import task_api.main
import task_api.settings
from service_kit.service import serve
from tests.eventually import eventually
from tools.local_system import ROOT
from tools.ports import free_ports

SETTINGS = {
    "task_api": task_api.settings.Settings,
    "notification_service": notification_service.settings.Settings,
}


class Served:
    """A running service.

    Attributes:
        client: has the headers of the sidecar and of task-api, so that the test can play both.
    """

    headers: ClassVar = {"dapr-api-token": "token", "dapr-caller-app-id": "task-api"}

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, client: Client) -> None:
        self.process = process
        self.port = port
        self.client = client

    def answers(self) -> bool:
        try:
            return self.client.get("/health").is_success
        except ConnectError:
            return False


@contextmanager
def served(
    service: str, command: tuple[str, ...] | None = None, **environment: str
) -> Iterator[Served]:
    """Start `task_api` or `notification_service`, and kill it at the end.

    Args:
        command: starts it in another way; `{port}` stands for the port.
    """
    port = next(free_ports())
    command = command or (sys.executable, "-m", "tests.served", service)
    variables = {"APP_PORT": str(port), "LOG_LEVEL": "ERROR", **environment}
    process = subprocess.Popen(
        [argument.format(port=port) for argument in command],
        env={**os.environ, **variables},
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        with Client(base_url=f"http://127.0.0.1:{port}", headers=Served.headers) as client:
            running = Served(process, port, client)
            eventually(running.answers, within=20)
            yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def create_task_api() -> FastAPI:
    return task_api.main.create_app(adapters=task_api.in_memory_adapters.in_memory_adapters())


def create_notification_service() -> FastAPI:
    return notification_service.main.create_app(
        adapters=notification_service.in_memory_adapters.in_memory_adapters()
    )


if __name__ == "__main__":
    serve(f"tests.served:create_{sys.argv[1]}", SETTINGS[sys.argv[1]]())
