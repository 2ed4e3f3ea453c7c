"""The guarantee: every stored change is announced, and nothing else is.

A change is two writes, to the store and to the broker, and a process can stop between them. So it
is said first, in private, and announced once it proved true:

1. The writer publishes an intent (task, change, the ETag that its save replaces) to a topic that
   only task-api reads, and then saves the document with the change in its history.
2. Whoever handles the intent looks at the document. The change is in its history: its event is
   published. The document has another ETag than the save replaces: the save lost and can never
   succeed, so the intent is dropped. Neither: the save may be under way, so it is said again;
   after a while it is settled, by writing the document as it is, which gives it a new ETag and so
   bars the save.

Nothing leaves a document before it is announced: neither an old change that makes room in the
history nor a deleted task. docs/decisions has why, and what was measured.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

import structlog
from pydantic import BaseModel, Field

from service_kit.cursors import Place
from service_kit.index_pages import IndexPages
from service_kit.micro_batches import MicroBatches
from service_kit.ports import Conflict, Publisher, StateStore, Unavailable
from service_kit.recent import Recent
from shared_models import CHANGES_INTENDED, CloudEvent, TaskEventType, TaskStatus
from shared_models.moments import Moment, now
from task_api.idempotency import IdempotencyKeys
from task_api.removals import Removals
from task_api.settings import Settings
from task_api.task_documents import Change, TaskDocument, TaskDocuments, new_id

log = structlog.get_logger()

BARRED_FOR = timedelta(days=1)
PATIENCE = timedelta(milliseconds=100)
"""How long a message of intents may hold up those behind it for a save that is under way."""
SHORTEST_WAIT = timedelta(milliseconds=5)


class Intent(BaseModel):
    """Says that a document is about to get a change."""

    task_id: str
    change_id: str
    replaces: str | None
    """The ETag that the save names; None where it creates the document."""
    said_at: Moment = Field(default_factory=now)


class Intents(BaseModel):
    """The data of one message on the topic of intents."""

    intents: list[Intent]


class Announcements:
    """Saves changes so that they are announced, and announces them.

    Args:
        publisher: takes the events.
        changelog: takes the intents.
        indexes: `all`, which deleted tasks leave, and `open`, which completed ones leave too.
        keys: learn of the deletion of the tasks that they made.
    """

    def __init__(
        self,
        store: StateStore,
        publisher: Publisher,
        changelog: Publisher,
        indexes: Mapping[str, IndexPages],
        keys: IdempotencyKeys,
        settings: Settings,
    ) -> None:
        self._documents = TaskDocuments(store)
        self._publisher = publisher
        self._changelog = changelog
        self._indexes = indexes
        self._removals = Removals(store, indexes, keys)
        self._settings = settings
        self._saying: MicroBatches[Intent, None] = MicroBatches(self._say_batch)
        # What this process saw of its own saves spares it a look at the store; after a restart,
        # or on another replica, the store tells.
        self._saves: Recent[asyncio.Future[_Saved | None]] = Recent()
        self._announced: Recent[None] = Recent()

    async def say(self, task_id: str, change: Change, replaces: str | None) -> None:
        """Publish the intent of a save. What is not said may not be saved."""
        self._remember_save(change.id)
        try:
            await self._saying.submit(
                Intent(task_id=task_id, change_id=change.id, replaces=replaces)
            )
        except BaseException:
            self._end_save(change.id, None)
            raise

    async def save(
        self,
        task_id: str,
        document: TaskDocument,
        replaces: str | None,
        read_at: float | None = None,
    ) -> None:
        """Save a document whose last change has been said.

        Args:
            read_at: when the document that it replaces was read, on the clock of the event loop.

        Raises:
            Conflict: the document has another ETag by now, and not because of this save.
            Unavailable: whether it is saved is open; if it is, it will be announced.
        """
        change = document.history[-1]
        saved: _Saved | None = None
        try:
            try:
                await self._documents.save(task_id, document, replaces)
            except Conflict:
                present, _ = await self._documents.get(task_id)
                if present is None or present.change(change.id) is None:
                    raise
            if read_at is not None and await self._removals.undo_late_save(
                task_id, change.id, read_at
            ):
                raise Conflict(f"Task {task_id} was removed meanwhile")
            saved = _Saved.of(document, change)
        finally:
            self._end_save(change.id, saved)

    def note_announced(self, history: Sequence[Change]) -> None:
        """Mark those of `history` that this process knows to be announced."""
        for change in history:
            if change.id in self._announced:
                change.announced = True

    async def make_room(self, history: Sequence[Change]) -> None:
        """Announce those of `history` of which nobody knows that they are announced.

        To be called before they leave the store; consumers drop what they know.
        """
        self.note_announced(history)
        await asyncio.gather(*(self._publish(change) for change in history if not change.announced))

    async def handle(self, event: CloudEvent) -> None:
        """Handle a message of the topic of intents."""
        intents = Intents.model_validate(event.data).intents
        results = await asyncio.gather(*map(self._settle, intents), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        # No intent may be given up for the sake of another, so a retry is asked for first.
        for error in errors:
            if isinstance(error, Unavailable | Conflict):
                raise error
        # The messages behind this one wait for its end, so what is not settled yet queues up again.
        await asyncio.gather(
            *(
                self._saying.submit(intent)
                for intent, settled in zip(intents, results, strict=True)
                if settled is False
            )
        )
        for error in errors:
            raise error

    async def _say_batch(self, intents: Sequence[Intent]) -> list[Exception | None]:
        await self._changelog.publish(
            self._settings.task_changes_topic,
            CloudEvent(
                id=new_id(),
                source=self._settings.app_id,
                type=CHANGES_INTENDED,
                time=now(),
                data=Intents(intents=list(intents)).model_dump(mode="json"),
            ),
        )
        return [None] * len(intents)

    async def _settle(self, intent: Intent) -> bool:
        """Announce the change if it is stored; return False if it neither is nor never can be."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE.total_seconds()
        saved = await self._own_save(intent.change_id, PATIENCE.total_seconds())
        if saved is not None:
            await self._announce(intent.task_id, saved)
            self._saves.pop(intent.change_id, None)
            return True
        pause = SHORTEST_WAIT
        while True:
            document, etag = await self._documents.get(intent.task_id)
            change = document.change(intent.change_id) if document else None
            if document and change:
                if intent.replaces is not None and await self._removals.undo_if_removed(
                    intent.task_id
                ):
                    return True
                await self._announce(intent.task_id, _Saved.of(document, change))
                return True
            if etag != intent.replaces:
                return True
            if loop.time() < deadline:
                await asyncio.sleep(pause.total_seconds())
                pause *= 2
                continue
            # Said by a clock that is ahead of this one, it counts as said now.
            intent.said_at = min(intent.said_at, now())
            if now() - intent.said_at < self._settings.intent_grace:
                return False
            with suppress(Conflict):
                await self._bar(intent, document)

    async def _bar(self, intent: Intent, document: TaskDocument | None) -> None:
        """Give the document a new ETag, so that the intended save can no longer happen."""
        log.warning("save_barred", task_id=intent.task_id, change_id=intent.change_id)
        if document is None:
            await self._documents.save(intent.task_id, TaskDocument(), None, ttl=BARRED_FOR)
        else:
            await self._documents.save(intent.task_id, document, intent.replaces)
            # Where this process was frozen after it read the document, that may have been removed.
            await self._removals.undo_if_removed(intent.task_id)

    async def _announce(self, task_id: str, saved: "_Saved") -> None:
        await self._publish(saved.change)
        if saved.left_open:
            await self._indexes["open"].remove(
                saved.left_open, task_id, before=saved.change.event.version + 1
            )
        if saved.change.event.event_type is TaskEventType.DELETED:
            await self._remove(task_id)

    async def _publish(self, change: Change) -> None:
        await self._publisher.publish(
            self._settings.task_events_topic, CloudEvent.of(change.event, self._settings.app_id)
        )
        self._announced[change.id] = None

    async def _remove(self, task_id: str) -> None:
        """Remove a deleted task, whose deletion is announced, from the store."""
        document, etag = await self._documents.get(task_id)
        if document is None or etag is None or not document.deleted:
            return
        await self.make_room(document.history)
        await self._removals.remove(task_id, document, etag)

    async def _own_save(self, change_id: str, patience: float) -> "_Saved | None":
        """Return what this process saved of the change, if it did."""
        future = self._saves.get(change_id)
        if future is None:
            return None
        if future.done():
            return future.result()
        try:
            return await asyncio.wait_for(asyncio.shield(future), patience)
        except TimeoutError:
            return None

    def _remember_save(self, change_id: str) -> None:
        future: asyncio.Future[_Saved | None] = asyncio.get_running_loop().create_future()
        self._saves[change_id] = future

    def _end_save(self, change_id: str, saved: "_Saved | None") -> None:
        future = self._saves.get(change_id)
        if future and not future.done():
            future.set_result(saved)


class _Saved(NamedTuple):
    """What announcing a change takes, without the document."""

    change: Change
    left_open: Place | None
    """The place among the open tasks that a completed task still has."""

    @classmethod
    def of(cls, document: TaskDocument, change: Change) -> "_Saved":
        completed = document.task and document.task.status is TaskStatus.COMPLETED
        return cls(change, document.places.get("open") if completed else None)
