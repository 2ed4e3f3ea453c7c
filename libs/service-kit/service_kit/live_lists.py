"""Lists to follow live, from any place on: one look at the store, however many follow.

A look reads the end of the list. Every entry has its place before its thing is there, so it may
become ready after later ones: such a place stays open, and is looked at again. What was passed is a
`Position`, which holds for every replica, because all of them see the same list.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Generic, NamedTuple, TypeGuard, TypeVar

import structlog
from pydantic import BaseModel

from service_kit.cursors import Place
from service_kit.index_pages import NoSuchPlace
from service_kit.ports import Unavailable
from service_kit.positions import MOST_PAGES, Position, parse_position
from service_kit.records import Records

log = structlog.get_logger()

Thing = TypeVar("Thing", bound=BaseModel)

MOST_WAITING = 2_000
"""Things that wait for one follower before it is cut off."""
SAVED_WITHIN_SECONDS = 60
"""After this an entry without a record is taken for an attempt that failed."""
LONGEST_PAUSE_SECONDS = 10
"""What is not ready for long is looked at less often, but not less often than this."""


class _Told(NamedTuple, Generic[Thing]):
    thing: Thing
    place: Place
    position: Position
    """What is passed with it."""


class _Open:
    """An entry that is not ready yet."""

    def __init__(self, id: str, now: float) -> None:
        self.id = id
        self.seen_at = now
        self.look_at = now


class LiveList(Generic[Thing]):
    """A list that any number of followers follow. While there is none, it does not look.

    Args:
        is_ready: says whether a record is one to tell of by now.
        interval: time between two looks.

    Attributes:
        position: what was told, or would have been if somebody had followed.
    """

    def __init__(
        self, records: Records[Thing], is_ready: Callable[[Thing], bool], interval: timedelta
    ) -> None:
        self.records = records
        self.position = Position(Place(0, 0))
        self._is_ready = is_ready
        self._interval = interval.total_seconds()
        self._open: dict[Place, _Open] = {}
        self._followers: set[Follower[Thing]] = set()
        self._starting = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._failure: Unavailable | None = None
        self._closed = False

    async def follow(
        self, last_id: str | None = None, wanted: Callable[[Thing], bool] = lambda thing: True
    ) -> "Follower[Thing]":
        """Follow from behind the event `last_id` on, or from now on; close the follower at the end.

        Raises:
            UnknownPosition: `last_id` is none of this list.
            Unavailable: the store does not answer.
        """
        since = parse_position(last_id, self.records.kind) if last_id else None
        async with self._starting:
            if not self._followers and not self._closed:
                await self._start()
            if self._failure:
                raise self._failure
            ahead = since is not None and since.next > self.position.next
            end = await self.records.end() if ahead else self.position.next
            follower = Follower(self, wanted, since, end)
            self._followers.add(follower)
        if self._closed:
            follower.end()
        elif self._looking is None:
            self._looking = asyncio.create_task(self._look_on())
        return follower

    def leave(self, follower: "Follower[Thing]") -> None:
        self._followers.discard(follower)
        if not self._followers:
            self._stop_looking()

    def close(self) -> None:
        """End all followers, and at once those to come."""
        self._closed = True
        self._end_followers()

    def is_ready(self, thing: Thing | None) -> TypeGuard[Thing]:
        return thing is not None and self._is_ready(thing)

    def look_again(self, id: str, place: Place, thing: Thing | None) -> None:
        """Tell of an entry, whose thing is not ready yet or not stored, once it is ready."""
        now = asyncio.get_running_loop().time()
        entry = self._open.setdefault(place, _Open(id, now))
        age = now - entry.seen_at
        failed = thing is None and age > SAVED_WITHIN_SECONDS
        if failed or place.page < self.position.next.page - MOST_PAGES:
            del self._open[place]
            self.position = self.position.passing(place)
            return
        entry.look_at = now + min(age // 10, LONGEST_PAUSE_SECONDS)
        self.position = self.position.leaving_open(place)

    async def _start(self) -> None:
        end = await self.records.end()
        # What is under way has its place by now, on one of the last pages.
        self.position, self._open = Position(Place(max(0, end.page - 1), 0)), {}
        self._failure = None
        await self._look()

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self._look()
                self._failure = None
            except Unavailable as error:
                self._failure = error  # the next look catches up
            except NoSuchPlace:
                log.warning("list_shrank", list=self.records.kind)  # the store lost its end
                self._looking = None
                self._end_followers()
                return

    async def _look(self) -> None:
        """Tell all followers what became ready since the last look."""
        now = asyncio.get_running_loop().time()
        due = [(entry.id, place) for place, entry in self._open.items() if entry.look_at <= now]
        if due:
            await self._tell(due)
        async for entries in self.records.oldest_first(self.position.next):
            await self._tell(entries)

    async def _tell(self, entries: Sequence[tuple[str, Place]]) -> None:
        told: list[_Told[Thing]] = []
        things = await self.records.at(entries)
        for (id, place), thing in zip(entries, things, strict=True):
            if not self.is_ready(thing):
                self.look_again(id, place, thing)
                continue
            self._open.pop(place, None)
            self.position = self.position.passing(place)
            told.append(_Told(thing, place, self.position))
        for follower in self._followers:
            follower.tell(told)

    def _end_followers(self) -> None:
        for follower in self._followers:
            follower.end()
        self._followers.clear()
        self._stop_looking()

    def _stop_looking(self) -> None:
        if self._looking:
            self._looking.cancel()
            self._looking = None


class Follower(Generic[Thing]):
    """Somebody who follows a list.

    Attributes:
        fell_behind: something between the last id and now may be missing, because it is too much
            to tell, or because the store lost what the id stands for.
    """

    def __init__(
        self,
        live: LiveList[Thing],
        wanted: Callable[[Thing], bool],
        since: Position | None,
        end: Place,
    ) -> None:
        self._live = live
        self._wanted = wanted
        self._now = live.position
        since = since or self._now
        oldest = Position(Place(max(0, end.page - MOST_PAGES), 0))
        self.fell_behind = not oldest.next <= since.next <= end
        self._since = oldest if since.next > end else since | oldest
        self._waiting: list[tuple[str, Thing]] = []
        self._changed = asyncio.Event()
        self._ended = False

    @property
    def first_id(self) -> str:
        """The id to begin with, before anything was told."""
        return self._since.name(self._live.records.kind)

    @property
    def last_id(self) -> str:
        """The id behind all that there is to tell by now."""
        return self._id(self._live.position)

    async def told(self, quiet_seconds: float) -> AsyncIterator[list[tuple[str, Thing]]]:
        """Yield what was missed, then what becomes ready, with the id of each.

        Args:
            quiet_seconds: after this time without anything to tell, nothing is yielded.
        """
        async for missed in self._missed():
            yield missed
        while not self._ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(quiet_seconds):
                    await self._changed.wait()
            self._changed.clear()
            if not self._ended:
                waiting, self._waiting = self._waiting, []
                yield waiting

    def tell(self, told: Sequence[_Told[Thing]]) -> None:
        for each in told:
            # Another replica may have told it, where this follower was before.
            if not self._since.has(each.place) and self._wanted(each.thing):
                self._waiting.append((self._id(each.position), each.thing))
        if len(self._waiting) > MOST_WAITING:
            log.warning("slow_follower_cut_off", list=self._live.records.kind)
            self.end()
        elif self._waiting:
            self._changed.set()

    def end(self) -> None:
        """Tell nothing more; who comes again with the last id misses nothing."""
        self._waiting.clear()
        self._ended = True
        self._changed.set()

    def close(self) -> None:
        self._live.leave(self)

    async def _missed(self) -> AsyncIterator[list[tuple[str, Thing]]]:
        """Yield what became ready between `since` and `now`, page by page."""
        if self._since == self._now:
            return
        passed = self._since
        async for page in self._live.records.oldest_first(self._since.first):
            entries = [entry for entry in page if not self._since.has(entry[1])]
            told: list[tuple[str, Thing]] = []
            things = await self._live.records.at(entries)
            for (id, place), thing in zip(entries, things, strict=True):
                if place >= self._now.next:
                    break
                if not self._now.has(place):
                    passed = passed.leaving_open(place)
                elif self._live.is_ready(thing):
                    passed = passed.passing(place)
                    if self._wanted(thing):
                        told.append((passed.name(self._live.records.kind), thing))
                else:
                    passed = passed.leaving_open(place)
                    self._live.look_again(id, place, thing)
            yield told

    def _id(self, position: Position) -> str:
        return (self._since | position).name(self._live.records.kind)
