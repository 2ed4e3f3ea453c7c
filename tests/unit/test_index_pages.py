import asyncio
import random
from base64 import b64encode
from collections.abc import Coroutine
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.cursors import Place, UnknownCursor
from service_kit.in_memory_adapters import InMemoryStateStore
from service_kit.index_pages import IndexPages
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


class Returning(Things):
    """Things that leave the index and come back. Removals may be made long after they are due."""

    def __init__(self, store: InMemoryStateStore | None = None) -> None:
        super().__init__(store)
        self.index = IndexPages(self.store, "things", page_size=4, ids_return=True)
        self.away: set[str] = set()
        self.due: list[tuple[str, int]] = []
        self._version = 0

    async def leave(self, id: str) -> None:
        self._version += 1
        self.away.add(id)
        self.due.append((id, self._version))

    async def make_removal(self, number: int) -> None:
        id, version = self.due[number]
        await self.index.remove(self.places[id], id, before=version)

    async def come_back(self, id: str) -> None:
        self._version += 1
        await self.index.put_back(self.places[id], id, self._version)
        self.away.discard(id)

    async def read(self, entries: list[tuple[str, Place]]) -> list[str | None]:
        there = await super().read(entries)
        return [None if id in self.away else id for id in there]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "leave", "remove", "remove", "back"]), st.integers(0, 99)
        ),
        max_size=80,
    ),
    st.integers(1, 7),
)
def test_what_comes_back_is_listed_where_it_was(steps: list[tuple[str, int]], limit: int) -> None:
    async def run() -> None:
        things, ids = Returning(), list[str]()
        for number, (step, which) in enumerate(steps):
            away = sorted(things.away)
            there = [id for id in ids if id not in things.away]
            if step == "add":
                await things.add(str(number))
                ids.append(str(number))
            elif step == "leave" and there:
                await things.leave(there[which % len(there)])
            elif step == "remove" and things.due:
                await things.make_removal(which % len(things.due))
            elif step == "back" and away:
                await things.come_back(away[which % len(away)])
        assert await things.walk(limit) == [id for id in ids[::-1] if id not in things.away]

    asyncio.run(run())


async def test_who_comes_back_to_a_page_that_was_given_up_is_listed_where_it_was() -> None:
    things = Returning()
    for number in range(20):
        await things.add(str(number))
        await things.leave(str(number))
        await things.make_removal(number)
    assert await things.walk() == []
    for number in (6, 18, 1, 7, 13):
        await things.come_back(str(number))
    assert await things.walk() == ["18", "13", "7", "6", "1"]


async def test_pages_that_were_given_up_are_small_and_not_walked() -> None:
    things = Returning()
    for number in range(20):
        await things.add(str(number))
    for number in range(20):
        await things.leave(str(number))
        await things.make_removal(number)
    sealed = [stored.value for key, stored in things.store.values.items() if key != "index-things"]
    assert set(sealed) == {b'{"ids":[]}'}
    assert b'"live":[]' in things.store.values["index-things"].value


@pytest.mark.parametrize("seed", range(20))
async def test_replicas_that_remove_and_put_back_at_once_lose_nothing(seed: int) -> None:
    random.seed(seed)
    store = RacingStore()
    one, two = Returning(store), Returning(store)
    two.places, two.away, two.due = one.places, one.away, one.due
    ids = [str(number) for number in range(12)]
    for id in ids:
        await one.add(id)
        await one.leave(id)

    async def removals(things: Returning) -> None:
        for number in random.sample(range(len(ids)), len(ids)):
            await things.make_removal(number)

    async def returns(things: Returning, some: list[str]) -> None:
        await asyncio.sleep(random.random() / 20)
        await asyncio.gather(*(things.index.put_back(one.places[id], id, 100) for id in some))

    back = random.sample(ids, 6)
    await asyncio.gather(
        removals(one), removals(two), returns(one, back[:4]), returns(two, back[3:]),
        *(one.add(f"more-{number}") for number in range(8)),
    )  # fmt: skip
    one.away -= set(back)
    found = await one.walk()
    assert [id for id in found if id in ids] == sorted(back, key=int, reverse=True)
    assert len(found) == len(back) + 8


class TurnStore(InMemoryStateStore):
    """Makes each call wait for its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[asyncio.Future[None]] = []
        self.takes_turns = False

    async def _turn(self) -> None:
        if self.takes_turns:
            self.waiting.append(asyncio.get_running_loop().create_future())
            await self.waiting[-1]

    async def get(self, key: str) -> Stored | None:
        await self._turn()
        return await super().get(key)

    async def save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        await self._turn()
        await super().save(key, value, etag, ttl)

    async def run(self, work: list[Coroutine[object, object, None]], turns: list[int]) -> list[int]:
        """Do all work, the calls in the order that `turns` says, and the rest as they come.

        Returns:
            how many calls there were to choose from, each time.
        """
        self.takes_turns, choices = True, list[int]()
        tasks = [asyncio.create_task(each) for each in work]
        while not all(task.done() for task in tasks):
            for _ in range(6):  # until all wait for the store
                await asyncio.sleep(0)
            if self.waiting:
                turn = turns[len(choices)] if len(choices) < len(turns) else 0
                choices.append(len(self.waiting))
                self.waiting.pop(turn).set_result(None)
        self.takes_turns = False
        return choices


async def test_in_any_order_of_calls_what_comes_back_to_a_page_that_empties_is_listed() -> None:
    orders: list[list[int]] = [[]]
    tried = 0
    while orders:
        turns = orders.pop()
        store = TurnStore()
        removing, returning = Returning(store), Returning(store)
        returning.places, returning.away = removing.places, removing.away
        for number in range(5):
            await removing.add(str(number))
        for number in range(4):
            await removing.leave(str(number))
            if number:
                await removing.make_removal(number)
        choices = await store.run([removing.make_removal(0), returning.come_back("2")], turns)
        for at in range(len(turns), len(choices)):
            chosen = turns + [0] * (at - len(turns))
            orders += [[*chosen, other] for other in range(1, choices[at])]
        assert await removing.walk() == ["4", "2"], turns
        tried += 1
    assert tried > 100


async def test_what_was_put_back_meanwhile_is_not_sealed_away() -> None:
    """A replica that is late to seal a page writes nothing over what it did not see."""
    store = LateStore()
    late, quick = Returning(store), Returning(store)
    quick.places = late.places
    for number in range(4):
        await late.add(str(number))
    await late.leave("1")
    await late.make_removal(0)
    store.late_key = "index-things-0"
    sealing = asyncio.create_task(late.add("4"))
    await store.reached.wait()
    await quick.come_back("1")  # while the page is the head
    await quick.add("5")  # which seals it
    store.go_on.set()
    await sealing
    late.away.clear()
    assert set(await late.walk()) == {"0", "1", "2", "3", "4", "5"}


class LateStore(InMemoryStateStore):
    """Makes the first look at one key wait, as if it were long on its way."""

    def __init__(self) -> None:
        super().__init__()
        self.late_key = ""
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def get(self, key: str) -> Stored | None:
        if key == self.late_key and not self.reached.is_set():
            self.reached.set()
            await self.go_on.wait()
        return await super().get(key)


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
