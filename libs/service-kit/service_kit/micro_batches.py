"""Concurrent calls that share one round trip."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class MicroBatches(Generic[Item, Result]):
    """Runs `work` on many items at once, without making a lone item wait.

    The first item starts a batch at once. Items that arrive while `workers` batches are under way
    wait and share the next one. `work` returns one result for each item, in order; a result that
    is an exception is raised to the caller of that item alone.

    Args:
        work: handles a batch.
        max_items: most items of a batch.
        workers: most batches under way at once.
        weight: what an item weighs, such as its bytes; None weighs nothing.
        max_weight: a batch takes no further item once it weighs this much.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        max_items: int = 64,
        workers: int = 2,
        weight: Callable[[Item], int] | None = None,
        max_weight: int = 1_000_000,
    ) -> None:
        self._work = work
        self._max_items = max_items
        self._workers = workers
        self._weight = weight
        self._max_weight = max_weight
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item) -> Result:
        """Return the result of `item`, handled in a batch with others."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running < self._workers:
            self._running += 1
            task = asyncio.create_task(self._drain())
            self._tasks.add(task)  # the event loop alone would not keep it
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                if batch := self._take():
                    await self._run(batch)
        finally:
            # At once, not when the task is seen to be done: an item that came in between would
            # find a worker that is none, and wait for ever.
            self._running -= 1

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
        except Exception as error:
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        weight = 0
        while self._waiting and len(batch) < self._max_items and weight < self._max_weight:
            entry = self._waiting.popleft()
            if entry[1].done():
                continue  # its caller gave up
            weight += self._weight(entry[0]) if self._weight else 0
            batch.append(entry)
        return batch
