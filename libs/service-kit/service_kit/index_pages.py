"""Lists on a store that cannot list: ids in pages, newest last.

An index is one head page and any number of sealed pages behind it. The head takes new ids; when it
is full it is sealed under its number and a new head begins, so the cost of adding an id does not
grow with the list. The head also says which sealed pages still have ids in them.

An id is added before the thing that it names is saved, and the thing remembers the place that it
was given. So nothing is ever unlisted, and an entry that nothing points back to (an attempt that
failed, a thing that moved) is skipped by the reader.

In an index whose ids return, an id that was removed may be put back into its place, so that the
list stays in order. A removal may come late, when the id has returned long since; so each stay of
an id has a number, which grows, and a removal names those that it ends.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from pydantic import BaseModel

from service_kit.cursors import Cursors, Filters, Place, UnknownCursor
from service_kit.index_documents import Head, SealedPage, with_page, without_page
from service_kit.micro_batches import MicroBatches
from service_kit.ports import Conflict, StateStore, Stored
from shared_models import Page

PAGE_SIZE = 256
MOST_EXAMINED = 4 * PAGE_SIZE
"""Entries that one request looks at before it answers with what it has."""
SMALLEST_READ = 32

Item = TypeVar("Item")


class _Stay(NamedTuple):
    id: str
    number: int


class _Removal(NamedTuple):
    place: Place
    id: str
    before: int | None

    def ends(self, stay: _Stay) -> bool:
        return stay.id == self.id and (self.before is None or stay.number < self.before)


class NoSuchPlace(Exception):
    """The index does not reach to a place; its store lost what it knew."""


class IndexPages:
    """One index. Concurrent changes to it share one save of its head.

    Args:
        ids_return: ids may be put back, and so have no `/`. Pages that were emptied stay in the
            store, at some bytes each: a page that is made anew would begin with old ETags again.
    """

    def __init__(
        self, store: StateStore, name: str, page_size: int = PAGE_SIZE, *, ids_return: bool = False
    ) -> None:
        self._store = store
        self._key = f"index-{name}"
        self._page_size = page_size
        self._ids_return = ids_return
        self._additions: MicroBatches[Sequence[str], list[Place]] = MicroBatches(
            self._add_batch, workers=1
        )
        self._removals: MicroBatches[_Removal, None] = MicroBatches(self._remove_batch, workers=1)

    async def add(self, ids: Sequence[str]) -> list[Place]:
        """Add `ids` as the newest, the last one newest of all, and return their places.

        An id is listed once its thing points back to its place.
        """
        return await self._additions.submit(ids)

    async def remove(self, place: Place, id: str, before: int | None = None) -> None:
        """Free `place` if `id` is still there.

        Args:
            before: only where the number of its stay is below this one; `add` begins stay 0.
        """
        await self._removals.submit(_Removal(place, id, before))

    async def put_back(self, place: Place, id: str, stay: int) -> None:
        """Have `id` stand at its place again, whether or not it was removed meanwhile."""
        assert self._ids_return
        while not await self._put_back(place, f"{id}/{stay}"):
            pass

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
        cursors = Cursors(self._key, filters)
        before = None if cursor is None else cursors.parse(cursor)
        head, _ = await self._head()
        if before and before.page > head.number:
            raise UnknownCursor
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

    async def end(self) -> Place:
        """Return the place behind the newest entry."""
        head, _ = await self._head()
        return Place(head.number, len(head.ids))

    async def oldest_first(self, first: Place) -> AsyncIterator[list[tuple[str, Place]]]:
        """Yield the entries from the place `first` on, oldest first, page by page.

        Raises:
            NoSuchPlace: the index does not reach to that place.
        """
        head, _ = await self._head()
        if first > Place(head.number, len(head.ids)):
            raise NoSuchPlace
        for number in reversed(_numbers(head)):
            if number >= first.page:
                entries = await self._entries_of(number, head)
                if entries := [entry for entry in entries if entry[1] >= first]:
                    yield entries

    async def _entries(
        self, head: Head, before: Place | None
    ) -> AsyncIterator[list[tuple[str, Place]]]:
        """Yield the entries of one page after another, newest first, that lie before a place."""
        for number in _numbers(head):
            if before and number > before.page:
                continue
            entries = await self._entries_of(number, head)
            if entries := [entry for entry in entries if before is None or entry[1] < before]:
                yield entries[::-1]

    async def _entries_of(self, number: int, head: Head) -> list[tuple[str, Place]]:
        page = head if number == head.number else (await self._sealed(number))[0]
        return [
            (self._stay(entry).id, Place(number, slot))
            for slot, entry in enumerate(page.ids if page else [])
            if entry is not None
        ]

    async def _add_batch(self, additions: Sequence[Sequence[str]]) -> list[list[Place] | Exception]:
        ids = [id for some in additions for id in some]
        places: list[Place] = []
        while len(places) < len(ids):
            head, etag = await self._head()
            try:
                if len(head.ids) >= self._page_size:
                    head = await self._next_head(head, etag)
                some = ids[len(places) : len(places) + self._page_size - len(head.ids)]
                first = len(head.ids)
                head.ids.extend(some)
                await self._save_head(head, etag)
            except Conflict:
                # Another replica was first, or this very save arrived twice: then its entries
                # stay unused, because only the places returned here are remembered.
                continue
            places.extend(Place(head.number, first + offset) for offset in range(len(some)))
        rest = iter(places)
        return [list(islice(rest, len(some))) for some in additions]

    async def _remove_batch(self, removals: Sequence[_Removal]) -> list[Exception | None]:
        by_page: dict[int, list[_Removal]] = {}
        for removal in removals:
            by_page.setdefault(removal.place.page, []).append(removal)
        for number, some in by_page.items():
            while not await self._remove_from(number, some):
                pass
        return [None] * len(removals)

    async def _remove_from(self, number: int, removals: list[_Removal]) -> bool:
        """Free some places of a page; return False where somebody else changed it meanwhile."""
        head, head_etag = await self._head()
        try:
            if number == head.number:
                if self._clear(head, removals):
                    await self._save_head(head, head_etag)
                return True
            page, etag = await self._sealed(number)
            if page is None or etag is None:
                return True
            if self._clear(page, removals):
                await self._save_sealed(number, page, etag)
            if not any(page.ids):
                await self._forget(number)
        except Conflict:
            return False
        return True

    def _clear(self, page: SealedPage, removals: Sequence[_Removal]) -> bool:
        """Empty the slots that hold what is to be removed; return whether any did."""
        changed = False
        for removal in removals:
            slot = removal.place.slot
            entry = page.ids[slot] if slot < len(page.ids) else None
            if entry is not None and removal.ends(self._stay(entry)):
                page.ids[slot] = None
                changed = True
        return changed

    async def _put_back(self, place: Place, entry: str) -> bool:
        """Write an entry at its place; return False where somebody else changed it meanwhile."""
        head, head_etag = await self._head()
        try:
            if place.page == head.number:
                head.fill(place.slot, entry)
                await self._save_head(head, head_etag)
                return True
            page, etag = await self._sealed(place.page)
            page = page or SealedPage()
            page.fill(place.slot, entry)
            await self._save_sealed(place.page, page, etag)
            # The head is saved even where it names the page already: who has just found the page
            # empty, and is about to have the head forget it, must fail.
            head, head_etag = await self._head()
            head.live = with_page(head.live, place.page)
            await self._save_head(head, head_etag)
        except Conflict:
            return False
        return True

    async def _forget(self, number: int) -> None:
        """Drop a sealed page, if it has no ids left."""
        head, head_etag = await self._head()
        page, etag = await self._sealed(number)  # after the head: see `_put_back`
        if page and any(page.ids):
            return
        live = without_page(head.live, number)
        if live != head.live:
            head.live = live
            await self._save_head(head, head_etag)
        if etag is not None and not self._ids_return:
            await self._store.delete(self._sealed_key(number), etag)

    async def _next_head(self, head: Head, etag: str | None) -> Head:
        """Return the head that follows a full one, which is sealed where it has ids.

        What is sealed counts once the next head is saved. Nothing is written over a page that has
        changed since: that takes a look at the head after one at the page.

        Raises:
            Conflict: another replica was first.
        """
        if not any(head.ids):
            return head.followed(head.live)
        _, sealed_etag = await self._sealed(head.number)
        _, etag_now = await self._head()
        if etag_now != etag:
            raise Conflict(f"{self._key!r} has changed")
        await self._save_sealed(head.number, SealedPage(ids=head.ids), sealed_etag)
        return head.followed(with_page(head.live, head.number))

    async def _save_head(self, head: Head, etag: str | None) -> None:
        await self._store.save(self._key, head.model_dump_json().encode(), etag)

    async def _save_sealed(self, number: int, page: SealedPage, etag: str | None) -> None:
        kept = page if any(page.ids) else SealedPage()
        await self._store.save(self._sealed_key(number), kept.model_dump_json().encode(), etag)

    def _stay(self, entry: str) -> _Stay:
        id, _, number = entry.partition("/") if self._ids_return else (entry, "", "")
        return _Stay(id, int(number or 0))

    async def _head(self) -> tuple[Head, str | None]:
        stored = await self._store.get(self._key)
        return _read(Head, stored) or Head(), stored.etag if stored else None

    async def _sealed(self, number: int) -> tuple[SealedPage | None, str | None]:
        stored = await self._store.get(self._sealed_key(number))
        return _read(SealedPage, stored), stored.etag if stored else None

    def _sealed_key(self, number: int) -> str:
        return f"{self._key}-{number}"


Document = TypeVar("Document", bound=BaseModel)


def _read(model: type[Document], stored: Stored | None) -> Document | None:
    return model.model_validate_json(stored.value) if stored else None


def _numbers(head: Head) -> list[int]:
    """Return the numbers of the pages that have ids, the newest first."""
    numbers = [head.number]
    for first, last in reversed(head.live):
        numbers.extend(range(last, first - 1, -1))
    return numbers
