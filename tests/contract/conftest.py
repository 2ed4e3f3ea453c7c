"""The suites of the ports and of the HTTP contract run on the in-memory adapters and on Dapr."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import NamedTuple

import dapr.conf
import pytest
import pytest_asyncio
from fastapi.testclient import TestClient
from httpx2 import Client

import notification_service.in_memory_adapters
import notification_service.main
import task_api.in_memory_adapters
import task_api.main
from service_kit.dapr_adapters import DaprPublisher, DaprSidecar, DaprStateStore
from service_kit.in_memory_adapters import InMemoryPublisher, InMemoryStateStore
from service_kit.ports import Publisher, StateStore
from tools.local_system import LocalSystem

BOTH = ["in memory", "on Dapr"]


@pytest.fixture(params=BOTH, scope="session")
def api(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of task-api."""
    if request.param == "on Dapr":
        yield request.getfixturevalue("tasks")
    else:
        adapters = task_api.in_memory_adapters.in_memory_adapters()
        with TestClient(task_api.main.create_app(adapters=adapters)) as client:
            yield client


@pytest.fixture(params=BOTH, scope="session")
def notifier_api(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of notification-service."""
    if request.param == "on Dapr":
        yield request.getfixturevalue("notifications")
    else:
        adapters = notification_service.in_memory_adapters.in_memory_adapters()
        with TestClient(notification_service.main.create_app(adapters=adapters)) as client:
            yield client


class Ports(NamedTuple):
    store: StateStore
    publisher: Publisher


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def sidecar(system: LocalSystem) -> AsyncIterator[DaprSidecar]:
    """A connection to the sidecar of task-api, as the service itself has it."""
    ports = system.ports.apps["task-api"]
    dapr.conf.settings.DAPR_API_TOKEN = system.tokens["dapr-api-token"]
    async with DaprSidecar(
        ports["daprHTTPPort"], ports["daprGRPCPort"], timedelta(seconds=5)
    ) as sidecar:
        await sidecar.ready()
        yield sidecar


@pytest.fixture(scope="session")
def dapr_ports(sidecar: DaprSidecar) -> Ports:
    return Ports(DaprStateStore(sidecar, "statestore"), DaprPublisher(sidecar, "pubsub"))


@pytest.fixture(params=BOTH)
def ports(request: pytest.FixtureRequest) -> Ports:
    if request.param == "on Dapr":
        chosen: Ports = request.getfixturevalue("dapr_ports")
        return chosen
    return Ports(InMemoryStateStore(), InMemoryPublisher())
