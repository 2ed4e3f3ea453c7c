import asyncio
import random
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.in_memory_adapters import InMemoryStateStore
from service_kit.index_pages import IndexPages, Place, UnknownCursor
from service_kit.ports import Stored


class Things:
    """Things that remember their place in an index of small pages."""

    def __init__(self, store: InMemoryStateStore | None = None) -> None:
        self.store = store or InMemoryStateStore()
        self.index = IndexPages(self.store, "things", page_size=4)
        self.places: dict[str, Place] = {}

    async def add(self, id: str) -> None:
        (self.places[id],) = await self.index.add([id])

    async def remove(self, id: str) -> None:
        await self.index.remove(self.places.pop(id), id)

    async def walk(self, limit: int = 3) -> list[str]:
        """Return all things, page by page."""
        found: list[str] = []
        cursor = None
        while True:
            page = await self.index.newest_first(limit, cursor, self.read)
            assert len(page.items) <= limit
            found += page.items
            if page.next_cursor is None:
                return found
            cursor = page.next_cursor

    async def read(self, entries: list[tuple[str, Place]]) -> list[str | None]:
        return [id if self.places.get(id) == place else None for id, place in entries]


async def test_an_empty_index_has_no_items_and_no_cursor() -> None:
    page = await Things().index.newest_first(10, None, Things().read)
    assert page.items == []
    assert page.next_cursor is None


@given(
    st.lists(st.one_of(st.just("add"), st.integers(0, 50)), max_size=60),
    st.integers(1, 7),
)
def test_lists_what_was_added_and_not_removed_newest_first(
    steps: list[str | int], limit: int
) -> None:
    async def run() -> None:
        things, expected = Things(), list[str]()
        for number, step in enumerate(steps):
            if step == "add":
                await things.add(str(number))
                expected.append(str(number))
            elif expected:
                assert isinstance(step, int)
                await things.remove(expected.pop(step % len(expected)))
        assert await things.walk(limit) == expected[::-1]

    asyncio.run(run())


async def test_pages_without_ids_are_removed_from_the_store() -> None:
    things = Things()
    for number in range(20):
        await things.add(str(number))
    for number in range(16):
        await things.remove(str(number))
    sealed = [key for key in things.store.values if key.startswith("index-things-")]
    assert sealed == []
    assert await things.walk() == ["19", "18", "17", "16"]


class RacingStore(InMemoryStateStore):
    """Lets other tasks run inside every call, so that saves race."""

    async def get(self, key: str) -> Stored | None:
        await asyncio.sleep(random.random() / 1000)
        return await super().get(key)


async def test_a_head_that_was_emptied_leaves_no_page_behind() -> None:
    things = Things()
    for number in range(40):
        await things.add(str(number))
        await things.remove(str(number))
    assert set(things.store.values) == {"index-things"}


async def test_two_replicas_that_add_at_once_lose_nothing_and_double_nothing() -> None:
    store = RacingStore()
    one, two = Things(store), Things(store)
    await asyncio.gather(
        *(one.add(f"one-{n}") for n in range(40)), *(two.add(f"two-{n}") for n in range(40))
    )
    one.places |= two.places
    found = await one.walk(limit=7)
    assert sorted(found) == sorted(one.places)


async def test_an_entry_that_nothing_points_back_to_is_skipped() -> None:
    things = Things()
    await things.add("kept")
    await things.index.add("never saved")
    await things.index.add("kept")  # an attempt whose answer was lost, made again
    assert await things.walk() == ["kept"]


async def test_a_page_walk_is_not_disturbed_by_removals_between_its_pages() -> None:
    things = Things()
    for number in range(10):
        await things.add(str(number))
    first = await things.index.newest_first(3, None, things.read)
    await things.remove("8")
    await things.remove("2")
    second = await things.index.newest_first(10, first.next_cursor, things.read)
    assert first.items == ["9", "8", "7"]
    assert second.items == ["6", "5", "4", "3", "1", "0"]


async def test_the_work_of_one_request_is_bounded() -> None:
    store = InMemoryStateStore()
    index = IndexPages(store, "things")
    for number in range(3000):
        await index.add(str(number))
    looked_at = 0

    async def read(entries: list[tuple[str, Place]]) -> list[str | None]:
        nonlocal looked_at
        looked_at += len(entries)
        return [None] * len(entries)

    page = await index.newest_first(50, None, read)
    assert page.items == []
    assert page.next_cursor is not None
    assert looked_at <= 5 * 256


async def test_a_cursor_of_another_list_or_of_other_filters_is_refused() -> None:
    store = InMemoryStateStore()
    filters: list[tuple[str | int | None, ...]] = [
        (),
        ("a",),
        ("a", None),
        (None, "a"),
        (1,),
        ("1",),
    ]
    lists = [(IndexPages(store, name), each) for name in ("one", "two") for each in filters]
    for index, _ in lists:
        await index.add([str(number) for number in range(3)])

    async def read(entries: list[tuple[str, Place]]) -> list[str | None]:
        return [id for id, _ in entries]

    for one in lists:
        cursor = (await one[0].newest_first(1, None, read, one[1])).next_cursor
        for other in lists:
            if other is one:
                assert (await other[0].newest_first(1, cursor, read, other[1])).items == ["1"]
            else:
                with pytest.raises(UnknownCursor):
                    await other[0].newest_first(1, cursor, read, other[1])


@given(st.text(max_size=40) | st.binary(max_size=30).map(lambda b: b64encode(b).decode()))
async def test_any_text_is_a_cursor_or_refused(cursor: str) -> None:
    things = Things()
    await things.add("1")
    with pytest.raises(UnknownCursor):
        await things.index.newest_first(10, cursor, things.read)


@pytest.mark.parametrize(
    "cursor", ["", "nowhere", "MC4w", "MC4w=", "eC55", "LTEuMA", "OTkuMA", "é"]
)
async def test_a_cursor_from_nowhere_is_refused(cursor: str) -> None:
    things = Things()
    await things.add("1")
    with pytest.raises(UnknownCursor):
        await things.index.newest_first(10, cursor, things.read)
