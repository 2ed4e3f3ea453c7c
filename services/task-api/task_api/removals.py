"""Remove deleted tasks from the store, so that no save brings them back.

On Redis, Dapr lets a save that names an ETag succeed when its key is gone. So a change that was
frozen on its way, while the task was deleted and removed, would bring the task back. A mark, kept
for a day, says that a task was removed; whoever may have been that slow looks for it and removes
what came back. A key is only removed a while after it was deleted, so who was quick need not look.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

import structlog

from service_kit.index_pages import IndexPages
from service_kit.ports import Conflict, StateStore, Unavailable
from task_api.idempotency import IdempotencyKeys
from task_api.task_documents import TaskDocument, TaskDocuments

log = structlog.get_logger()

REMOVED_AFTER = timedelta(milliseconds=300)
QUICK = timedelta(milliseconds=250)
"""From its read to its end; such a save was over before the task could be removed."""
TOMBSTONE_KEPT_FOR = timedelta(seconds=1)
"""Where the process ends before it removes the key."""
LOOKS_AFTER = tuple(timedelta(seconds=seconds) for seconds in (1, 1, 2, 4, 8, 15, 30))
"""Pauses between looks for a save that arrives when its writer has given up."""


class Removals:
    """What is done with deleted tasks, once their deletion has been announced.

    Args:
        indexes: which the tasks leave, by name.
        keys: learn of the deletion of the tasks that they made.
    """

    def __init__(
        self, store: StateStore, indexes: Mapping[str, IndexPages], keys: IdempotencyKeys
    ) -> None:
        self._documents = TaskDocuments(store)
        self._indexes = indexes
        self._keys = keys
        self._removing: set[asyncio.Task[None]] = set()

    async def remove(self, task_id: str, document: TaskDocument, etag: str) -> None:
        """Give up all that a deleted task has, and its key a moment later."""
        for name, place in document.places.items():
            await self._indexes[name].remove(place, task_id)
        if document.idempotency_record:
            await self._keys.outlive_task(document.idempotency_record)
        with suppress(Conflict):  # marked already
            await self._documents.mark_removed(task_id, document.history[-1].id)
        with suppress(Conflict):  # another replica removes it too
            await self._documents.save(task_id, document, etag, TOMBSTONE_KEPT_FOR)
        removing = asyncio.create_task(self._remove_key(task_id))
        self._removing.add(removing)
        removing.add_done_callback(self._removing.discard)

    async def undo_late_save(self, task_id: str, change_id: str, read_at: float) -> bool:
        """Return whether a save may have come after the task was removed, and then undo it.

        Args:
            change_id: the last change of what was saved.
            read_at: when the writer read the document, on the clock of the event loop.
        """
        if asyncio.get_running_loop().time() - read_at < QUICK.total_seconds():
            return False
        return await self.undo_if_removed(task_id, change_id)

    async def undo_if_removed(self, task_id: str, change_id: str | None = None) -> bool:
        """Return whether the task was removed; what is there under its key goes again.

        The tombstone itself stays: it is what the quick rely on.

        Args:
            change_id: a change that may be the deletion itself, which undoes nothing.
        """
        deletion_id = await self._documents.removed_by(task_id)
        if deletion_id in (None, change_id):
            return False
        return await self._clear(task_id, but_for=deletion_id)

    async def _clear(self, task_id: str, but_for: str | None = None) -> bool:
        """Remove what is under the key of a task; return False where its last change stays."""
        while True:
            document, etag = await self._documents.get(task_id)
            if document is None or etag is None:
                return True
            if document.history and document.history[-1].id == but_for:
                return False
            if not document.deleted:
                log.warning("late_save_undone", task_id=task_id)
            with suppress(Conflict):
                await self._documents.delete(task_id, etag)

    async def _remove_key(self, task_id: str) -> None:
        for pause in (REMOVED_AFTER, *LOOKS_AFTER):
            await asyncio.sleep(pause.total_seconds())
            try:
                await self._clear(task_id)
            except Unavailable as error:
                log.warning("removal_postponed", task_id=task_id, reason=str(error))
