"""One running system that the tests share; those that break things start one of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Client
from hypothesis import settings
from redis import Redis

from tools.local_system import LocalSystem

# The same examples each time, so that a change is judged by what it changes. To look for new ones:
# pytest --hypothesis-profile=search tests/unit
settings.register_profile("default", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=3_000, deadline=None)
settings.load_profile("default")


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """Services, sidecars, Redis and scheduler, started through dapr.yaml on free ports."""
    with LocalSystem.for_test(tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture
def breakable(tmp_path: Path) -> Iterator[LocalSystem]:
    """A system of the test's own, to kill parts of."""
    with LocalSystem.for_test(tmp_path) as system:
        yield system


@pytest.fixture(scope="session")
def tasks(system: LocalSystem) -> Iterator[Client]:
    with Client(base_url=system.url("task-api")) as client:
        yield client


@pytest.fixture(scope="session")
def notifications(system: LocalSystem) -> Iterator[Client]:
    with Client(base_url=system.url("notification-service")) as client:
        yield client


@pytest.fixture(scope="session")
def redis(system: LocalSystem) -> Iterator[Redis]:
    """The system's Redis, to see what is really stored and published."""
    with redis_of(system) as client:
        yield client


def redis_of(system: LocalSystem) -> Redis:
    return Redis(port=system.ports.redis, decode_responses=True)
