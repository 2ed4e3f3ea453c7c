"""How a service stops while there are requests."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from httpx2 import Client, ConnectError

from tests.eventually import eventually
from tools.ports import free_ports

SERVICE = [sys.executable, "-c", "from task_api.main import serve; serve()"]


@contextmanager
def service(drain_for: str) -> Iterator[tuple["subprocess.Popen[bytes]", Client]]:
    port = next(free_ports())
    environment = {"APP_PORT": str(port), "DRAIN_FOR": drain_for, "LOG_LEVEL": "ERROR"}
    process = subprocess.Popen(SERVICE, env={**os.environ, **environment})
    try:
        with Client(base_url=f"http://127.0.0.1:{port}") as client:
            eventually(lambda: answers(client), within=10)
            yield process, client
    finally:
        process.kill()
        process.wait()


def answers(client: Client) -> bool:
    try:
        return client.get("/health").is_success
    except ConnectError:
        return False


def test_a_draining_service_answers_and_sends_its_clients_elsewhere() -> None:
    with service("PT60S") as (process, client):
        assert client.get("/health").headers.get("connection") != "close"
        process.send_signal(signal.SIGTERM)
        eventually(lambda: client.get("/health").headers.get("connection") == "close", within=5)
        assert answers(client)  # on a new connection


def test_a_drained_service_stops() -> None:
    with service("PT1S") as (process, client):
        process.send_signal(signal.SIGTERM)
        assert answers(client)
        assert process.wait(timeout=10) == -signal.SIGTERM
        assert not answers(client)


@pytest.mark.parametrize(
    ("drain_for", "signals"),
    [
        ("PT0S", [signal.SIGTERM]),
        ("PT60S", [signal.SIGINT]),
        ("PT60S", [signal.SIGTERM, signal.SIGTERM]),
    ],
)
def test_a_service_that_is_not_to_drain_stops_at_once(
    drain_for: str, signals: list[signal.Signals]
) -> None:
    with service(drain_for) as (process, client):
        for each in signals:
            process.send_signal(each)
            answers(client)  # so that it has noticed
        process.wait(timeout=10)
