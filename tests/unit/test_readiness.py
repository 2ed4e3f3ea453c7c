"""A service is ready when its store answers and its sidecar has what it needs."""

import pytest
from fastapi.testclient import TestClient

import task_api.in_memory_adapters
import task_api.main
from service_kit.in_memory_adapters import InMemorySidecar, InMemoryStateStore
from service_kit.needs import Component, Needs, Offer, missing
from service_kit.ports import Stored, Unavailable
from service_kit.readiness import Readiness
from task_api.settings import Settings

NEEDS = Needs.of(Settings(), [])
COMPLETE = Offer(
    [
        Component("statestore", "state.redis"),
        Component("pubsub", "pubsub.redis"),
        Component("secretstore", "secretstores.local.file"),
    ],
    [],
)
NOTHING = Offer([], [])


class StoreAway(InMemoryStateStore):
    async def get(self, key: str) -> Stored | None:
        raise Unavailable("get from statestore: no answer")


class SidecarAway(InMemorySidecar):
    async def offer(self) -> Offer | None:
        raise Unavailable("no sidecar")


async def test_a_sidecar_that_has_everything_is_not_asked_again_for_a_while() -> None:
    sidecar = InMemorySidecar(COMPLETE)
    readiness = Readiness(NEEDS, sidecar, InMemoryStateStore())
    for _ in range(3):
        assert await readiness.missing() == []
    assert sidecar.asked == 1


async def test_a_sidecar_that_lacks_something_is_asked_until_it_has_it() -> None:
    sidecar = InMemorySidecar(NOTHING)
    readiness = Readiness(NEEDS, sidecar, InMemoryStateStore())
    assert await readiness.missing() == missing(NEEDS, NOTHING) != []
    sidecar.has = COMPLETE
    assert await readiness.missing() == []


async def test_another_sidecar_is_asked_anew() -> None:
    sidecar, store = InMemorySidecar(COMPLETE), InMemoryStateStore()
    readiness = Readiness(NEEDS, sidecar, store)
    await readiness.missing()
    readiness._store, readiness._sidecar = StoreAway(), SidecarAway()
    with pytest.raises(Unavailable, match="no answer"):
        await readiness.missing()
    readiness._store, readiness._sidecar = store, InMemorySidecar(NOTHING)
    assert await readiness.missing()


async def test_what_is_missing_is_said_rather_than_that_the_store_is_away() -> None:
    readiness = Readiness(NEEDS, InMemorySidecar(NOTHING), StoreAway())
    assert "task-api needs the component statestore" in "; ".join(await readiness.missing())


async def test_a_store_that_is_away_is_said_where_the_sidecar_is_away_too() -> None:
    readiness = Readiness(NEEDS, SidecarAway(), StoreAway())
    with pytest.raises(Unavailable, match="statestore: no answer"):
        await readiness.missing()


async def test_a_sidecar_that_may_not_tell_is_believed() -> None:
    readiness = Readiness(NEEDS, InMemorySidecar(None), InMemoryStateStore())
    assert await readiness.missing() == []


def test_readiness_lists_what_is_missing() -> None:
    adapters = task_api.in_memory_adapters.in_memory_adapters()
    adapters = adapters._replace(sidecar=InMemorySidecar(COMPLETE))
    with TestClient(task_api.main.create_app(adapters=adapters)) as client:
        answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    problem = answer.json()
    assert problem["detail"] == "; ".join(problem["missing"])
    assert [each.split("; ")[0] for each in problem["missing"]] == [
        "task-api needs the component changelog",
        "task-api needs a subscription to task-changes of changelog that delivers to"
        " /events/task-changes",
        "task-api needs a subscription to task-events of pubsub that delivers to"
        " /events/task-events",
    ]
