"""Behind the proxy of a company, nothing that goes to the own host goes through it."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from httpx2 import Client

from tests.contract.test_task_api_http import create
from tests.eventually import eventually
from tests.served import served
from tools.local_system import LocalSystem

SERVICE = (sys.executable, "-c", "from task_api.main import serve; serve()")
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY")


@contextmanager
def proxy() -> Iterator[tuple[str, socket.socket]]:
    """A proxy that nobody should call; `accept` raises BlockingIOError as long as nobody did."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", listener


@pytest.mark.parametrize("beside", [{}, {"NO_PROXY": "intranet.example"}])
def test_a_service_calls_its_sidecar_without_the_proxy(
    system: LocalSystem, beside: dict[str, str]
) -> None:
    ports = system.ports.apps["task-api"]
    with proxy() as (url, calls):
        environment = {
            **dict.fromkeys(VARIABLES, url),
            **beside,
            "DAPR_HTTP_PORT": str(ports["daprHTTPPort"]),
            "DAPR_GRPC_PORT": str(ports["daprGRPCPort"]),
            "DAPR_API_TOKEN": system.tokens["dapr-api-token"],
        }
        with (
            served("task_api", SERVICE, **environment) as service,
            Client(base_url=f"http://127.0.0.1:{service.port}", trust_env=False) as client,
        ):
            eventually(lambda: client.get("/health/ready").is_success, within=20)
            create(client)
        with pytest.raises(BlockingIOError):
            calls.accept()
