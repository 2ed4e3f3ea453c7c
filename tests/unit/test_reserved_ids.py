"""Ids for new tasks, put into the indexes ahead of time."""

import asyncio
from datetime import timedelta

import pytest

from service_kit.cursors import Place
from service_kit.in_memory_adapters import InMemoryStateStore
from service_kit.index_pages import IndexPages
from service_kit.ports import Stored, Unavailable
from shared_models import Page
from task_api import reserved_ids
from task_api.reserved_ids import ReservedIds


class CountingStore(InMemoryStateStore):
    saves = 0
    away = False

    async def save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        if self.away:
            raise Unavailable("the store is away")
        self.saves += 1
        await super().save(key, value, etag, ttl)

    async def get(self, key: str) -> Stored | None:
        await asyncio.sleep(0)  # so that callers meet
        return await super().get(key)


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def index(store: CountingStore) -> IndexPages:
    return IndexPages(store, "tasks")


async def test_ids_taken_one_after_the_other_stand_in_that_order(index: IndexPages) -> None:
    ids = ReservedIds({"all": index})
    places = [(await ids.take()).places["all"] for _ in range(500)]
    assert places == sorted(places)
    assert len(set(places)) == 500


async def test_ids_taken_at_once_are_all_different(index: IndexPages) -> None:
    ids = ReservedIds({"all": index})
    taken = await asyncio.gather(*(ids.take() for _ in range(300)))
    assert len({each.id for each in taken}) == 300
    assert len({each.places["all"] for each in taken}) == 300


async def test_an_id_is_in_the_index_before_it_is_taken(index: IndexPages) -> None:
    ids = ReservedIds({"all": index})
    for _ in range(200):
        taken = await ids.take()
        assert (taken.id, taken.places["all"]) in await _entries(index)


async def test_many_ids_cost_few_saves(store: CountingStore, index: IndexPages) -> None:
    ids = ReservedIds({"all": index})
    for _ in range(1_000):
        await ids.take()
    assert store.saves < 100


async def test_what_is_not_taken_soon_leaves_the_index(
    index: IndexPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserved_ids, "KEPT_FOR", timedelta(milliseconds=30))
    ids = ReservedIds({"all": index})
    taken = {(await ids.take()).id for _ in range(50)}
    async with asyncio.timeout(5):
        while {id for id, _ in await _entries(index)} != taken:  # noqa: ASYNC110, nothing tells
            await asyncio.sleep(0.01)
    later = await ids.take()
    assert later.id not in taken
    assert (later.id, later.places["all"]) in await _entries(index)


async def test_a_store_that_is_away_fails_the_taker_and_the_next_one_succeeds(
    store: CountingStore, index: IndexPages
) -> None:
    ids = ReservedIds({"all": index})
    store.away = True
    with pytest.raises(Unavailable):
        await ids.take()
    store.away = False
    assert (await ids.take()).id


async def _entries(index: IndexPages) -> list[tuple[str, Place]]:
    found: list[tuple[str, Place]] = []

    async def read(entries: list[tuple[str, Place]]) -> list[str | None]:
        found.extend(entries)
        return [None] * len(entries)

    page: Page[str] = await index.newest_first(100, None, read)
    assert page.items == []
    return found
