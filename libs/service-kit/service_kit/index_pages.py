"""Lists on a store that cannot list: ids in pages, newest last.

An index is one head page and any number of sealed pages behind it. The head takes new ids; when it
is full it is sealed under its number and a new head begins, so the cost of adding an id does not
grow with the list. The head also says which sealed pages still have ids in them.

An id is added before the thing that it names is saved, and the thing remembers the place that it
was given. So nothing is ever unlisted, and an entry that nothing points back to (an attempt that
failed, a thing that moved) is skipped by the reader.
"""

import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from pydantic import BaseModel

from service_kit.keys import digest
from service_kit.micro_batches import MicroBatches
from service_kit.ports import Conflict, StateStore, Stored
from shared_models import Page

PAGE_SIZE = 256
MOST_EXAMINED = 4 * PAGE_SIZE
"""Entries that one request looks at before it answers with what it has."""
SMALLEST_READ = 32

Item = TypeVar("Item")
Filters = Sequence[str | int | None]


class Place(NamedTuple):
    """Where an id stands in an index."""

    page: int
    slot: int


class UnknownCursor(ValueError):
    """A cursor that was not given out for this list with these filters."""


class _SealedPage(BaseModel):
    ids: list[str | None] = []


class _Head(_SealedPage):
    number: int = 0
    live: list[tuple[int, int]] = []
    """Ranges, both ends included, of the sealed pages that still have ids."""


class IndexPages:
    """One index. Concurrent changes to it share one save of its head."""

    def __init__(self, store: StateStore, name: str, page_size: int = PAGE_SIZE) -> None:
        self._store = store
        self._key = f"index-{name}"
        self._page_size = page_size
        self._additions: MicroBatches[Sequence[str], list[Place]] = MicroBatches(
            self._add_batch, workers=1
        )
        self._removals: MicroBatches[tuple[Place, str], None] = MicroBatches(
            self._remove_batch, workers=1
        )

    async def add(self, ids: Sequence[str]) -> list[Place]:
        """Add `ids` as the newest, the last one newest of all, and return their places.

        An id is listed once its thing points back to its place.
        """
        return await self._additions.submit(ids)

    async def remove(self, place: Place, id: str) -> None:
        """Free `place` if `id` is still there."""
        await self._removals.submit((place, id))

    async def newest_first(
        self,
        limit: int,
        cursor: str | None,
        read: Callable[[list[tuple[str, Place]]], Awaitable[Sequence[Item | None]]],
        filters: Filters = (),
    ) -> Page[Item]:
        """Return at most `limit` items, from the newest or from where `cursor` left off.

        Args:
            read: gets the items of some entries in their order, with None for each entry that is
                not to be listed.
            filters: what makes `read` leave entries out; a cursor goes on with the same ones alone.

        Raises:
            UnknownCursor: `cursor` was not given out by this index with these filters.
        """
        cursors = _Cursors(self._key, filters)
        before = None if cursor is None else cursors.parse(cursor)
        head, _ = await self._head()
        if before and before.page > head.number:
            raise UnknownCursor(_NOT_OF_THIS_LIST)
        items: list[Item] = []
        examined = 0
        last: Place | None = None
        step = max(limit + 1, SMALLEST_READ)  # one more tells whether the list goes on
        async for entries in self._entries(head, before):
            for start in range(0, len(entries), step):
                some = entries[start : start + step]
                for (_, place), item in zip(some, await read(some), strict=True):
                    if item is not None and len(items) == limit:
                        return Page(items=items, next_cursor=cursors.after(last))
                    if item is not None:
                        items.append(item)
                    last = place
            examined += len(entries)
            if examined >= MOST_EXAMINED:
                return Page(items=items, next_cursor=cursors.after(last))
        return Page(items=items)

    async def _entries(
        self, head: _Head, before: Place | None
    ) -> AsyncIterator[list[tuple[str, Place]]]:
        """Yield the entries of one page after another, newest first, that lie before a place."""
        numbers = [head.number]
        for first, last in reversed(head.live):
            numbers.extend(range(last, first - 1, -1))
        for number in numbers:
            if before and number > before.page:
                continue
            page = head if number == head.number else (await self._sealed(number))[0]
            entries = [
                (id, Place(number, slot))
                for slot, id in enumerate(page.ids if page else [])
                if id is not None and (before is None or Place(number, slot) < before)
            ]
            if entries:
                yield entries[::-1]

    async def _add_batch(self, additions: Sequence[Sequence[str]]) -> list[list[Place] | Exception]:
        ids = [id for some in additions for id in some]
        places: list[Place] = []
        while len(places) < len(ids):
            head, etag = await self._head()
            if len(head.ids) >= self._page_size:
                live = head.live
                if any(head.ids):
                    await self._seal(head)
                    live = _with(live, head.number)
                head = _Head(number=head.number + 1, live=live)
            some = ids[len(places) : len(places) + self._page_size - len(head.ids)]
            first = len(head.ids)
            head.ids.extend(some)
            try:
                await self._store.save(self._key, head.model_dump_json().encode(), etag)
            except Conflict:
                # Another replica was first, or this very save arrived twice: then its entries
                # stay unused, because only the places returned here are remembered.
                continue
            places.extend(Place(head.number, first + offset) for offset in range(len(some)))
        rest = iter(places)
        return [list(islice(rest, len(some))) for some in additions]

    async def _remove_batch(self, removals: Sequence[tuple[Place, str]]) -> list[Exception | None]:
        by_page: dict[int, list[tuple[Place, str]]] = {}
        for place, id in removals:
            by_page.setdefault(place.page, []).append((place, id))
        for number, some in by_page.items():
            while not await self._remove_from(number, some):
                pass
        return [None] * len(removals)

    async def _remove_from(self, number: int, removals: list[tuple[Place, str]]) -> bool:
        """Free some places of a page; return False where somebody else changed it meanwhile."""
        head, head_etag = await self._head()
        try:
            if number == head.number:
                if _clear(head, removals):
                    await self._store.save(self._key, head.model_dump_json().encode(), head_etag)
                return True
            page, etag = await self._sealed(number)
            if page is None or etag is None:
                return True
            if _clear(page, removals):
                await self._store.save(
                    self._sealed_key(number), page.model_dump_json().encode(), etag
                )
            if not any(page.ids):
                await self._forget(number)
        except Conflict:
            return False
        return True

    async def _forget(self, number: int) -> None:
        """Drop a sealed page that has no ids left."""
        head, head_etag = await self._head()
        live = _without(head.live, number)
        if live != head.live:
            head.live = live
            await self._store.save(self._key, head.model_dump_json().encode(), head_etag)
        _, etag = await self._sealed(number)
        if etag is not None:
            await self._store.delete(self._sealed_key(number), etag)

    async def _seal(self, head: _Head) -> None:
        """Write the full head under its number; it counts once the next head is saved."""
        value = _SealedPage(ids=head.ids).model_dump_json().encode()
        present = await self._store.get(self._sealed_key(head.number))
        try:
            await self._store.save(
                self._sealed_key(head.number), value, present.etag if present else None
            )
        except Conflict:
            return  # another replica seals it too; whose head is saved next decides

    async def _head(self) -> tuple[_Head, str | None]:
        stored = await self._store.get(self._key)
        return _read(_Head, stored) or _Head(), stored.etag if stored else None

    async def _sealed(self, number: int) -> tuple[_SealedPage | None, str | None]:
        stored = await self._store.get(self._sealed_key(number))
        return _read(_SealedPage, stored), stored.etag if stored else None

    def _sealed_key(self, number: int) -> str:
        return f"{self._key}-{number}"


Document = TypeVar("Document", bound=BaseModel)


def _read(model: type[Document], stored: Stored | None) -> Document | None:
    return model.model_validate_json(stored.value) if stored else None


def _clear(page: _SealedPage, removals: Sequence[tuple[Place, str]]) -> bool:
    """Empty the slots that still hold the ids to remove; return whether any did."""
    changed = False
    for place, id in removals:
        if place.slot < len(page.ids) and page.ids[place.slot] == id:
            page.ids[place.slot] = None
            changed = True
    return changed


def _with(ranges: list[tuple[int, int]], number: int) -> list[tuple[int, int]]:
    """Return `ranges` with `number`, which is above all of them."""
    if ranges and ranges[-1][1] == number - 1:
        return [*ranges[:-1], (ranges[-1][0], number)]
    return [*ranges, (number, number)]


def _without(ranges: list[tuple[int, int]], number: int) -> list[tuple[int, int]]:
    left: list[tuple[int, int]] = []
    for first, last in ranges:
        if not first <= number <= last:
            left.append((first, last))
            continue
        if first < number:
            left.append((first, number - 1))
        if number < last:
            left.append((number + 1, last))
    return left


class _Cursors:
    """The cursors of one index with some filters: a place, and a mark of whose it is."""

    def __init__(self, key: str, filters: Filters) -> None:
        self._mark = digest(json.dumps([key, *filters]))[:8]

    def after(self, place: Place | None) -> str | None:
        if place is None:
            return None
        text = f"{place.page}.{place.slot}.{self._mark}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def parse(self, cursor: str) -> Place:
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        except ValueError as error:
            raise UnknownCursor(_NOT_OF_THIS_LIST) from error
        match = re.match(r"([0-9]{1,9})\.([0-9]{1,9})\.", text, re.ASCII)
        place = Place(int(match[1]), int(match[2])) if match else None
        if place is None or self.after(place) != cursor:
            raise UnknownCursor(_NOT_OF_THIS_LIST)
        return place


_NOT_OF_THIS_LIST = (
    "The cursor is not of this list with these filters; use it as it was given out, or leave it out"
    " to begin with the newest."
)
