"""Things that are added once and listed newest first."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from pydantic import BaseModel

from service_kit.cursors import Filters, Place
from service_kit.index_pages import IndexPages
from service_kit.keys import key_part, shortened
from service_kit.ports import Conflict, StateStore, Stored
from shared_models import Page

Thing = TypeVar("Thing", bound=BaseModel)

_LIKE_A_PAGE = re.compile(r"-[0-9]{1,9}\Z")
"""How the key of an index's page ends behind the name of the index."""


class Records(Generic[Thing]):
    """Records of one kind, each under its id; adding the same id twice adds it once.

    Args:
        kind: the start of the keys, such as `notification`.
        model: what a record holds.
    """

    def __init__(self, store: StateStore, kind: str, model: type[Thing]) -> None:
        self._store = store
        self.kind = kind
        self._model = _Record[model]  # type: ignore[valid-type]
        self._index = IndexPages(store, kind)

    async def add(self, id: str, thing: Thing, group: str | None = None) -> bool:
        """Store `thing` under `id`; return False where that id is stored already.

        Args:
            group: also list it among the records of this name.
        """
        indexes = {"": self._index}
        if group is not None:
            indexes[group] = self._group(group)
        places = await asyncio.gather(*(index.add([id]) for index in indexes.values()))
        record: _Record[Thing] = _Record(
            places={name: place for name, (place,) in zip(indexes, places, strict=True)},
            thing=thing,
        )
        try:
            await self._store.save(self._key(id), record.model_dump_json().encode(), None)
        except Conflict:
            await self._leave(id, record.places)
            return False
        return True

    async def get(self, id: str) -> Thing | None:
        stored = await self._store.get(self._key(id))
        return self._read(stored).thing if stored else None

    async def change(self, id: str, change: Callable[[Thing], Thing | None]) -> bool:
        """Replace a record by what `change` makes of it; return False where that is None.

        Raises:
            Conflict: somebody else changed it at the same time, or there is none.
        """
        stored = await self._store.get(self._key(id))
        if stored is None:
            raise Conflict(f"There is no record {id!r}.")
        record = self._read(stored)
        changed = change(record.thing)
        if changed is None:
            return False
        record.thing = changed
        await self._store.save(self._key(id), record.model_dump_json().encode(), stored.etag)
        return True

    async def remove(self, id: str) -> bool:
        """Remove the record under `id`; return False where there is none."""
        while stored := await self._store.get(self._key(id)):
            # The record first: an entry without a record is passed over, but a record without an
            # entry would be listed never again, and `add` would find it there.
            with suppress(Conflict):
                await self._store.delete(self._key(id), stored.etag)
                for group, place in self._read(stored).places.items():
                    await self._of(group).remove(place, id)
                return True
        return False

    async def newest_first(
        self,
        limit: int,
        cursor: str | None,
        *,
        group: str | None = None,
        wanted: Callable[[Thing], bool] = lambda thing: True,
        filters: Filters = (),
    ) -> Page[Thing]:
        """Return a page of the records that are `wanted`, of all or of one group.

        Args:
            filters: what decides which ones are wanted, for `IndexPages.newest_first`.
        """

        async def read(entries: list[tuple[str, Place]]) -> list[Thing | None]:
            things = await self.at(entries, group)
            return [thing if thing is not None and wanted(thing) else None for thing in things]

        index = self._index if group is None else self._group(group)
        return await index.newest_first(limit, cursor, read, filters)

    async def end(self) -> Place:
        """Return the place behind the newest record."""
        return await self._index.end()

    def oldest_first(self, first: Place) -> AsyncIterator[list[tuple[str, Place]]]:
        """Yield the ids and places from the place `first` on, oldest first, page by page.

        Raises:
            NoSuchPlace: the list does not reach to that place.
        """
        return self._index.oldest_first(first)

    async def at(
        self, entries: Sequence[tuple[str, Place]], group: str | None = None
    ) -> list[Thing | None]:
        """Return the records of some entries, with None where none points back to its entry."""
        found: list[Thing | None] = []
        stored = await self._store.get_many([self._key(id) for id, _ in entries])
        for (_, place), each in zip(entries, stored, strict=True):
            record = self._read(each) if each else None
            listed = record is not None and record.places.get(group or "") == place
            found.append(record.thing if record and listed else None)
        return found

    async def _leave(self, id: str, places: dict[str, Place]) -> None:
        """Free the places that were taken for a record that is stored already."""
        stored = await self._store.get(self._key(id))
        kept = self._read(stored).places if stored else {}
        for group, place in places.items():
            if kept.get(group) != place:
                await self._of(group).remove(place, id)

    def _read(self, stored: Stored) -> "_Record[Thing]":
        record: _Record[Thing] = self._model.model_validate_json(stored.value)
        return record

    def _key(self, id: str) -> str:
        return f"{self.kind}-{key_part(id)}"

    def _of(self, group: str) -> IndexPages:
        """Return the index of a group; the empty name is that of all."""
        return self._group(group) if group else self._index

    def _group(self, group: str) -> IndexPages:
        part = shortened(group) if _LIKE_A_PAGE.search(group) else key_part(group)
        return IndexPages(self._store, f"{self.kind}-of-{part}")


class _Record(BaseModel, Generic[Thing]):
    schema_version: int = 1
    places: dict[str, Place]
    thing: Thing
