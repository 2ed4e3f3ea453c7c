"""Task ids that stand in the indexes before they are needed.

A task must be in the indexes before it is saved. Under load, places are taken for many tasks at
once, so that most creations find theirs ready. What is not used soon is given back: so the indexes,
which are in order of reservation, are in order of creation but for that time.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

import structlog

from service_kit.cursors import Place
from service_kit.index_pages import IndexPages
from service_kit.micro_batches import MicroBatches
from service_kit.ports import Unavailable
from task_api.task_documents import new_id

log = structlog.get_logger()

AHEAD = timedelta(milliseconds=250)
"""How long a reservation is to last at the present rate."""
KEPT_FOR = timedelta(seconds=1)
MOST_AHEAD = 128
SHORTEST_SPAN = timedelta(milliseconds=1)


class ReservedId(NamedTuple):
    id: str
    places: dict[str, Place]
    """By the name of the index."""
    at: float
    """When it was reserved, on the clock of the event loop."""


class ReservedIds:
    """Ids for new tasks, each with a place in every index.

    Args:
        indexes: by name.
    """

    def __init__(self, indexes: Mapping[str, IndexPages]) -> None:
        self._indexes = indexes
        self._ready: deque[ReservedId] = deque()
        self._unused: list[ReservedId] = []
        self._few = 0
        self._taken = 0
        self._reserved_at = float("-inf")
        # One reservation at a time, and each id from the left: who comes when another one has an id
        # stands after it.
        self._reserving: MicroBatches[int, ReservedId | None] = MicroBatches(
            self._reserve, workers=1
        )
        self._ahead: asyncio.Task[None] | None = None
        self._giving_back: asyncio.Task[None] | None = None

    async def take(self) -> ReservedId:
        """Return an id that nobody else gets.

        Raises:
            Unavailable: the indexes could not be written.
        """
        self._taken += 1
        self._drop_stale()
        if not self._ready:
            reserved = await self._reserving.submit(1)
            assert reserved
            return reserved
        reserved = self._ready.popleft()
        if len(self._ready) <= self._few and (self._ahead is None or self._ahead.done()):
            self._ahead = asyncio.create_task(self._reserve_ahead())
        return reserved

    def give_back(self, reserved: ReservedId) -> None:
        """Take back an id that no task was made with."""
        self._unused.append(reserved)

    async def _reserve_ahead(self) -> None:
        with suppress(Unavailable):  # who needs an id will find out
            await self._reserving.submit(0)

    async def _reserve(self, needs: Sequence[int]) -> list[ReservedId | None]:
        """Reserve what is needed now and what will be soon."""
        moment = asyncio.get_running_loop().time()
        rate = self._taken / max(moment - self._reserved_at, SHORTEST_SPAN.total_seconds())
        ahead = min(MOST_AHEAD, int(rate * AHEAD.total_seconds()))
        self._taken, self._reserved_at, self._few = 0, moment, ahead // 2
        ids = [new_id() for _ in range(sum(needs) + ahead)]
        columns = await asyncio.gather(*(index.add(ids) for index in self._indexes.values()))
        self._drop_stale()
        for id, *places in zip(ids, *columns, strict=True):
            self._ready.append(
                ReservedId(id, dict(zip(self._indexes, places, strict=True)), moment)
            )
        if self._giving_back is None or self._giving_back.done():
            self._giving_back = asyncio.create_task(self._give_back())
        return [self._ready.popleft() if need else None for need in needs]

    def _drop_stale(self) -> None:
        stale = asyncio.get_running_loop().time() - KEPT_FOR.total_seconds()
        while self._ready and self._ready[0].at < stale:
            self._unused.append(self._ready.popleft())

    async def _give_back(self) -> None:
        """Free the places of ids that nobody took, until there is none left."""
        while self._ready or self._unused:
            await asyncio.sleep(KEPT_FOR.total_seconds())
            self._drop_stale()
            unused, self._unused = self._unused, []
            try:
                await asyncio.gather(
                    *(
                        self._indexes[name].remove(place, each.id)
                        for each in unused
                        for name, place in each.places.items()
                    )
                )
            except Unavailable:
                log.info("places_left_unused", count=len(unused))  # readers skip them
