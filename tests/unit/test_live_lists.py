"""Whoever follows a list is told of each thing once, whatever becomes ready when."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from service_kit import live_lists
from service_kit.cursors import Place
from service_kit.in_memory_adapters import InMemoryStateStore
from service_kit.index_pages import PAGE_SIZE
from service_kit.live_lists import Follower, LiveList
from service_kit.ports import Stored, Unavailable
from service_kit.positions import MOST_PAGES, Position, UnknownPosition, parse_position
from service_kit.records import Records

AT_ONCE = timedelta(0)


class Thing(BaseModel):
    number: int
    ready: bool = True


class Store(InMemoryStateStore):
    """Counts looks, can be away, and can hold the record of a thing while its place is known."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.reads: list[str] = []
        self.released: dict[str, asyncio.Event] = {}

    async def get(self, key: str) -> Stored | None:
        self.reads.append(key)
        if self.away:
            raise Unavailable("away")
        return await super().get(key)

    async def save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        if key in self.released:
            await self.released[key].wait()
        await super().save(key, value, etag, ttl)


class World:
    """A list, and the processes that tell of it."""

    def __init__(self, *intervals: timedelta) -> None:
        self.store = Store()
        self.records = Records(self.store, "thing", Thing)
        self.replicas = [
            LiveList(Records(self.store, "thing", Thing), lambda thing: thing.ready, interval)
            for interval in intervals or [AT_ONCE]
        ]
        self._under_way: list[asyncio.Task[bool]] = []

    async def add(self, number: int, *, ready: bool = True) -> None:
        await self.records.add(str(number), Thing(number=number, ready=ready))

    async def begin(self, number: int) -> None:
        """Give a thing its place, and no more."""
        self.store.released[f"thing-{number}"] = asyncio.Event()
        adding = self.records.add(str(number), Thing(number=number, ready=False))
        self._under_way.append(asyncio.create_task(adding))
        await settle()

    async def get_under_way(self, numbers: Iterable[int]) -> None:
        await asyncio.gather(*(self.add(number, ready=False) for number in numbers))

    async def get_ready(self, number: int) -> None:
        if released := self.store.released.get(f"thing-{number}"):
            released.set()
            await settle()
        await self.records.change(
            str(number), lambda thing: thing.model_copy(update={"ready": True})
        )

    async def stop(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)


class Client:
    """Follows as a browser does: it comes again with the id of the last event."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.last_id: str | None = None
        self._reading: asyncio.Task[None] | None = None

    async def come(self, live: LiveList[Thing]) -> Follower[Thing]:
        follower = await live.follow(self.last_id)
        self.last_id = follower.first_id
        self._reading = asyncio.create_task(self._read(follower))
        await settle()
        return follower

    async def leave(self) -> None:
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None

    async def _read(self, follower: Follower[Thing]) -> None:
        try:
            async for told in follower.told(quiet_seconds=60):
                for self.last_id, thing in told:
                    self.numbers.append(thing.number)
        finally:
            follower.close()


@asynccontextmanager
async def client_of(live: LiveList[Thing], last_id: str | None = None) -> AsyncIterator[Client]:
    client = Client()
    client.last_id = last_id
    await client.come(live)
    try:
        yield client
    finally:
        await client.leave()


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


STEPS = st.lists(
    st.one_of(
        st.just("begin"),
        st.just("add"),
        st.tuples(st.just("ready"), st.integers(0, 100)),
        st.just("leave"),
        st.tuples(st.just("come"), st.integers(0, 1)),
    ),
    max_size=40,
)


@given(STEPS)
def test_a_client_that_comes_and_goes_is_told_of_each_thing_once(
    steps: list[str | tuple[str, int]],
) -> None:
    async def run() -> None:
        world, client = World(AT_ONCE, AT_ONCE), Client()
        begun: list[int] = []
        became_ready: list[int] = []
        await client.come(world.replicas[0])
        for number, step in enumerate([*steps, ("come", 0)]):
            match step:
                case "begin":
                    await world.begin(number)
                    begun.append(number)
                case "add":
                    await world.add(number)
                    became_ready.append(number)
                case ("ready", chosen) if begun:
                    ready = begun.pop(chosen % len(begun))
                    await world.get_ready(ready)
                    became_ready.append(ready)
                case "leave":
                    await client.leave()
                case ("come", replica):
                    await client.leave()
                    await client.come(world.replicas[replica])
        await settle()
        assert sorted(client.numbers) == sorted(became_ready)
        await client.leave()
        await world.stop()

    asyncio.run(run())


PLACES = st.builds(Place, st.integers(0, 3), st.integers(0, 5))
POSITIONS = st.builds(
    lambda first, others: reduce(Position.leaving_open, others, Position(first)),
    PLACES,
    st.lists(PLACES, max_size=4),
)


@given(POSITIONS, PLACES, PLACES)
def test_a_position_leaves_open_and_passes_one_place(
    before: Position, place: Place, other: Place
) -> None:
    left, passed = before.leaving_open(place), before.passing(place)
    assert not left.has(place)
    assert passed.has(place)
    assert (
        place == other
        or left.has(other) == passed.has(other) == before.has(other)
        or (before.next <= other < place)
    )


@given(POSITIONS, PLACES)
def test_nothing_before_the_first_place_of_a_position_is_missing(
    position: Position, place: Place
) -> None:
    assert not position.has(position.first)
    assert position.has(place) or place >= position.first


@given(POSITIONS, POSITIONS, PLACES)
def test_a_union_of_positions_has_what_either_has(
    one: Position, other: Position, place: Place
) -> None:
    assert (one | other).has(place) == (one.has(place) or other.has(place))


@given(POSITIONS)
def test_a_position_is_read_as_it_was_named(position: Position) -> None:
    assert parse_position(position.name("thing"), "thing") == position


@pytest.mark.parametrize(
    "id",
    [
        "",
        "thing",
        "thing~1",
        "thing~1.x",
        "other~1.1",
        "thing~1.1~",
        "thing~١.1",
        "~1.1",
        "thing~1.1~2.1",
    ],
)
def test_an_id_of_no_event_of_this_list_is_refused(id: str) -> None:
    with pytest.raises(UnknownPosition):
        parse_position(id, "thing")


def test_the_longest_id_is_read() -> None:
    everything_open = dict.fromkeys(range(MOST_PAGES + 1), (1 << PAGE_SIZE) - 1)
    longest = Position(Place(MOST_PAGES, PAGE_SIZE), everything_open)
    assert parse_position(longest.name("thing"), "thing") == longest


async def test_a_burst_comes_whole_once_and_in_order() -> None:
    world = World()
    async with client_of(world.replicas[0]) as client:
        await asyncio.gather(*(world.add(number) for number in range(1000)))
        await settle()
    assert client.numbers == list(range(1000))


@pytest.mark.parametrize("followers", [1, 100])
async def test_there_is_one_look_however_many_follow(followers: int) -> None:
    world = World(timedelta(milliseconds=10))
    clients = [Client() for _ in range(followers)]
    for client in clients:
        await client.come(world.replicas[0])
    world.store.reads.clear()
    await asyncio.sleep(0.1)
    assert 1 <= len(world.store.reads) <= 10
    for client in clients:
        await client.leave()
    world.store.reads.clear()
    await asyncio.sleep(0.05)
    assert world.store.reads == []


async def test_a_slow_follower_is_cut_off_and_comes_again_for_the_rest() -> None:
    world = World()
    live = world.replicas[0]
    async with client_of(live) as quick:
        slow = await live.follow()
        reading = slow.told(quiet_seconds=60)
        await world.add(0)
        ((last_id, _),) = await anext(reading)
        many = range(1, live_lists.MOST_WAITING + 2)
        for number in many:
            await world.add(number)
        await settle()
        assert [told async for told in reading] == []
        slow.close()
        assert quick.numbers == [0, *many]
        async with client_of(live, last_id) as again:
            await settle()
        assert again.numbers == list(many)


async def test_who_was_away_for_too_long_is_told_the_newest_and_that_some_may_be_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_lists, "MOST_PAGES", 1)
    world = World()
    client = Client()
    await client.come(world.replicas[0])
    await client.leave()
    await asyncio.gather(*(world.add(number) for number in range(3 * PAGE_SIZE)))
    follower = await client.come(world.replicas[0])
    assert follower.fell_behind
    assert client.numbers == list(range(PAGE_SIZE, 3 * PAGE_SIZE))
    await client.leave()


async def test_who_comes_with_an_id_of_a_list_that_was_lost_is_told_all_that_is_there() -> None:
    world = World()
    await world.add(7)
    client = Client()
    client.last_id = Position(Place(3, 5)).name("thing")
    follower = await client.come(world.replicas[0])
    assert follower.fell_behind
    assert client.numbers == [7]
    await client.leave()


async def test_a_list_that_is_lost_ends_those_who_follow_it() -> None:
    world = World()
    await world.add(1)
    client = Client()
    await client.come(world.replicas[0])
    world.store.values.clear()
    await settle()
    await world.add(2)
    follower = await client.come(world.replicas[0])
    assert not follower.fell_behind  # it reaches to the same place, so nobody can tell
    await client.leave()


async def test_nobody_follows_while_the_store_is_away() -> None:
    world = World()
    world.store.away = True
    with pytest.raises(Unavailable):
        await world.replicas[0].follow()


async def test_those_who_follow_already_stay_while_the_store_is_away() -> None:
    world = World()
    live = world.replicas[0]
    async with client_of(live) as client:
        world.store.away = True
        await settle()
        with pytest.raises(Unavailable):
            await live.follow()
        world.store.away = False
        await world.add(1)
        await settle()
        assert client.numbers == [1]


async def test_only_what_is_wanted_is_told() -> None:
    world = World()
    follower = await world.replicas[0].follow(wanted=lambda thing: thing.number % 2 == 0)
    for number in range(4):
        await world.add(number)
    await settle()
    told = await anext(follower.told(quiet_seconds=60))
    assert [thing.number for _, thing in told] == [0, 2]
    assert follower.last_id == Position(Place(0, 4)).name("thing")
    follower.close()


async def test_what_was_under_way_when_the_first_one_came_is_told() -> None:
    world = World()
    await world.begin(0)
    await world.get_under_way(range(1, PAGE_SIZE + 1))
    async with client_of(world.replicas[0]) as client:
        await world.get_ready(0)
        await settle()
        assert client.numbers == [0]
    await world.stop()


async def test_what_was_under_way_long_before_is_told_to_who_waits_for_it() -> None:
    world, client = World(AT_ONCE, AT_ONCE), Client()
    await client.come(world.replicas[0])
    await world.add(1, ready=False)
    await world.get_under_way(range(2, 3 * PAGE_SIZE))
    await world.add(0)
    await settle()
    await client.leave()
    await client.come(world.replicas[1])
    assert client.numbers == [0]
    await world.get_ready(1)
    await settle()
    assert client.numbers == [0, 1]
    await client.leave()


async def test_a_replica_that_looks_later_tells_each_thing_once_too() -> None:
    world, mover, newcomer = World(AT_ONCE, timedelta(seconds=0.1)), Client(), Client()
    quick, late = world.replicas
    async with client_of(late) as keeper:
        await world.add(0, ready=False)
        await asyncio.sleep(0.15)  # it has seen that this is not ready
        await mover.come(quick)
        newcomer.last_id = Position(Place(0, 0)).name("thing")
        await world.get_ready(0)
        await world.add(1)
        await settle()
        await mover.leave()
        await mover.come(late)
        await newcomer.come(late)
        await world.add(2)
        await asyncio.sleep(0.25)
        assert mover.numbers == newcomer.numbers == keeper.numbers == [0, 1, 2]
    await mover.leave()
    await newcomer.leave()


async def test_an_attempt_that_failed_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_lists, "SAVED_WITHIN_SECONDS", 0.02)
    world = World()
    follower = await world.replicas[0].follow()
    await world.begin(1)
    assert follower.last_id == Position(Place(0, 1), {0: 1}).name("thing")
    await asyncio.sleep(0.05)
    assert follower.last_id == Position(Place(0, 1)).name("thing")
    follower.close()
    await world.stop()


async def test_a_closed_list_ends_who_follows_and_who_comes() -> None:
    live = World().replicas[0]
    before = await live.follow()
    live.close()
    after = await live.follow()
    assert [told async for told in before.told(60)] == []
    assert [told async for told in after.told(60)] == []
