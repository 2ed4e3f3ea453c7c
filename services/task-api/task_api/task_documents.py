"""A task as it is stored: one key, one document, with the changes that made it what it is."""

from datetime import timedelta
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from service_kit.cursors import Place
from service_kit.keys import key_part
from service_kit.ports import StateStore, Stored
from shared_models import Task, TaskEvent, TaskEventType

CHANGES_KEPT = 16
MARK_KEPT_FOR = timedelta(days=1)


class Change(BaseModel):
    """One change of a task. The id is of the attempt, so no two writers ever share one."""

    model_config = ConfigDict(extra="allow")

    id: str
    event: TaskEvent
    announced: bool = False
    """Known to be announced. Noted with the next change of a process that knows, so often later."""


class TaskDocument(BaseModel):
    """What is stored under a task's key.

    A document without a task bars the creation that wanted the key: see `announcements`.
    A deleted task's document stays until its deletion has been announced.
    What a newer replica beside this one has written, and this one does not know, stays in it.
    """

    model_config = ConfigDict(extra="allow")

    schema_version: int = 1
    task: Task | None = None
    deleted: bool = False
    places: dict[str, Place] = {}
    history: list[Change] = []
    """The last changes, oldest first."""
    idempotency_record: str | None = None
    """Key of the record of the idempotency key that made this task."""

    @property
    def present(self) -> Task | None:
        """The task, unless it is deleted or never was."""
        return None if self.deleted else self.task

    def changed(self, task: Task, event_type: TaskEventType) -> "TaskDocument":
        """Return the document in which this one's task has become `task`."""
        change = Change(id=new_id(), event=TaskEvent.of(task, event_type))
        return self.model_copy(
            update={
                "task": task,
                "deleted": event_type is TaskEventType.DELETED,
                "history": [*self.history[1 - CHANGES_KEPT :], change],
            }
        )

    def change(self, id: str) -> Change | None:
        return next((change for change in self.history if change.id == id), None)


class TaskDocuments:
    """The documents in the state store, by task id."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def get(self, task_id: str) -> tuple[TaskDocument | None, str | None]:
        """Return the document and its ETag, or None twice."""
        stored = await self._store.get(_key(task_id))
        return (_parse(stored), stored.etag) if stored else (None, None)

    async def get_to_change(self, task_id: str) -> tuple[TaskDocument | None, str | None]:
        """Return the document and its ETag, or None twice, also where the task was removed.

        What is there under the key of a removed task is a late save, and about to go again.
        """
        stored, mark = await self._store.get_many([_key(task_id), _mark(task_id)])
        return (_parse(stored), stored.etag) if stored and not mark else (None, None)

    async def get_many(self, task_ids: list[str]) -> list[TaskDocument | None]:
        stored = await self._store.get_many([_key(task_id) for task_id in task_ids])
        return [_parse(each) if each else None for each in stored]

    async def save(
        self,
        task_id: str,
        document: TaskDocument,
        etag: str | None,
        ttl: timedelta | None = None,
    ) -> None:
        """Raise `Conflict` where the document no longer has `etag`."""
        await self._store.save(_key(task_id), document.model_dump_json().encode(), etag, ttl)

    async def delete(self, task_id: str, etag: str) -> None:
        await self._store.delete(_key(task_id), etag)

    async def mark_removed(self, task_id: str, deletion_id: str) -> None:
        """Note that a task is about to leave the store, and the id of the change that deleted it.

        Raise `Conflict` where that is noted already.
        """
        await self._store.save(_mark(task_id), deletion_id.encode(), None, MARK_KEPT_FOR)

    async def removed_by(self, task_id: str) -> str | None:
        """Return the id of the change that deleted a removed task; None for any other."""
        mark = await self._store.get(_mark(task_id))
        return mark.value.decode() if mark else None


def new_id() -> str:
    return str(uuid4())


def _key(task_id: str) -> str:
    return f"task-{key_part(task_id)}"


def _mark(task_id: str) -> str:
    return f"removed-{key_part(task_id)}"


def _parse(stored: Stored) -> TaskDocument:
    return TaskDocument.model_validate_json(stored.value)
