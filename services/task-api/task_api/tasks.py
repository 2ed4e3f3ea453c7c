"""Create, find, change and delete tasks. Every change goes through `Announcements`."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from weakref import WeakValueDictionary

from service_kit.cursors import Place
from service_kit.index_pages import IndexPages
from service_kit.ports import Conflict, Publisher, StateStore, Unavailable
from shared_models import Page, Task, TaskCreate, TaskEvent, TaskEventType, TaskStatus
from shared_models.moments import now
from shared_models.text import nfc
from task_api.announcements import Announcements
from task_api.idempotency import IdempotencyKeys
from task_api.reserved_ids import ReservedId, ReservedIds
from task_api.settings import Settings
from task_api.task_documents import CHANGES_KEPT, TaskDocument, TaskDocuments

EVENT_OF_STATUS = {
    TaskStatus.PENDING: TaskEventType.PENDING,
    TaskStatus.IN_PROGRESS: TaskEventType.IN_PROGRESS,
    TaskStatus.COMPLETED: TaskEventType.COMPLETED,
}
LONGEST_PAUSE_SECONDS = 0.01


class TaskNotFound(Exception):
    """No task has this id."""


class PreconditionFailed(Exception):
    """The task is not in a version that the request is for."""


Precondition = Callable[[Task], bool]
"""Says whether a task is in a version that the client asks for."""


class Tasks:
    def __init__(
        self, store: StateStore, publisher: Publisher, changelog: Publisher, settings: Settings
    ) -> None:
        self._documents = TaskDocuments(store)
        self._indexes = {
            "all": IndexPages(store, "tasks-all"),
            "open": IndexPages(store, "tasks-open", ids_return=True),
        }
        self._ids = ReservedIds(self._indexes)
        self._keys = IdempotencyKeys(store)
        self.announcements = Announcements(
            store, publisher, changelog, self._indexes, self._keys, settings
        )
        self._deadline = settings.request_deadline.total_seconds()
        self._writers: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def create(self, wanted: TaskCreate, idempotency_key: str | None = None) -> Task:
        """Make a task; the same idempotency key and body return the task that they made."""
        async with self._in_time():
            while True:
                reserved, record = await self._ids.take(), None
                moment = now()  # of the place, so that lists are in this order
                if idempotency_key is not None:
                    try:
                        claim = await self._keys.claim(idempotency_key, wanted, reserved.id)
                    except BaseException:
                        self._ids.give_back(reserved)
                        raise
                    if claim.task:
                        self._ids.give_back(reserved)
                        return claim.task
                    record = claim.record
                try:
                    return await self._create(reserved, moment, wanted, record)
                except Conflict:
                    continue  # barred after a long pause: the id is spent

    async def get(self, task_id: str, precondition: Precondition | None = None) -> Task:
        async with self._in_time():
            document, _ = await self._documents.get(task_id)
        task = _present(document, task_id)
        _check(precondition, task)
        return task

    async def history(self, task_id: str) -> list[TaskEvent]:
        """Return the task's last events, newest first."""
        async with self._in_time():
            document, _ = await self._documents.get(task_id)
        _present(document, task_id)
        assert document
        return [change.event for change in reversed(document.history)]

    async def find(
        self,
        limit: int,
        cursor: str | None,
        status: TaskStatus | None = None,
        priority: int | None = None,
        assignee: str | None = None,
    ) -> Page[Task]:
        """Return a page of the tasks that match, newest first."""
        index = "all" if status in (None, TaskStatus.COMPLETED) else "open"

        def wanted(task: Task) -> bool:
            return (
                status in (None, task.status)
                and priority in (None, task.priority)
                and assignee in (None, nfc(task.assignee or ""))
            )

        async def read(entries: Sequence[tuple[str, Place]]) -> list[Task | None]:
            documents = await self._documents.get_many([task_id for task_id, _ in entries])
            return [
                document.present
                if document
                and document.places.get(index) == place
                and document.present
                and wanted(document.present)
                else None
                for (_, place), document in zip(entries, documents, strict=True)
            ]

        async with self._in_time():
            return await self._indexes[index].newest_first(
                limit, cursor, read, (status, priority, assignee)
            )

    async def edit(
        self,
        task_id: str,
        edited: Callable[[Task], TaskCreate],
        precondition: Precondition | None = None,
    ) -> Task:
        """Give the task the fields that `edited` makes of its newest version."""

        def change(task: Task) -> tuple[Task, TaskEventType]:
            return task.model_copy(update=dict(edited(task))), TaskEventType.UPDATED

        return await self._change(task_id, change, precondition)

    async def set_status(
        self, task_id: str, status: TaskStatus, precondition: Precondition | None = None
    ) -> Task:
        def change(task: Task) -> tuple[Task, TaskEventType]:
            return task.model_copy(update={"status": status}), EVENT_OF_STATUS[status]

        return await self._change(task_id, change, precondition)

    async def delete(self, task_id: str, precondition: Precondition | None = None) -> None:
        def change(task: Task) -> tuple[Task, TaskEventType]:
            return task, TaskEventType.DELETED

        await self._change(task_id, change, precondition)

    async def _create(
        self, reserved: ReservedId, moment: datetime, wanted: TaskCreate, record: str | None
    ) -> Task:
        task = Task(id=reserved.id, created_at=moment, updated_at=moment, version=1, **dict(wanted))
        document = TaskDocument(places=reserved.places, idempotency_record=record).changed(
            task, TaskEventType.CREATED
        )
        await self.announcements.say(task.id, document.history[-1], None)
        await self.announcements.save(task.id, document, None)
        return task

    async def _change(
        self,
        task_id: str,
        change: Callable[[Task], tuple[Task, TaskEventType]],
        precondition: Precondition | None,
    ) -> Task:
        """Apply `change` to the newest version, however many writers there are.

        The writers of this process take turns; those of other processes meet at the ETag.
        """
        async with self._in_time(), self._turn(task_id):
            while True:
                read_at = asyncio.get_running_loop().time()
                document, etag = await self._documents.get_to_change(task_id)
                task = _present(document, task_id)
                assert document and etag
                _check(precondition, task)
                changed, event_type = change(task)
                if changed == task and event_type is not TaskEventType.DELETED:
                    return task
                changed = changed.model_copy(
                    update={"version": task.version + 1, "updated_at": now()}
                )
                try:
                    await self._save(document, changed, event_type, etag, read_at)
                except Conflict:
                    await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
                    continue
                return changed

    async def _save(
        self,
        document: TaskDocument,
        task: Task,
        event_type: TaskEventType,
        etag: str,
        read_at: float,
    ) -> None:
        assert document.task
        self.announcements.note_announced(document.history)
        following = document.changed(task, event_type)
        reopened = (
            document.task.status is TaskStatus.COMPLETED and task.status is not TaskStatus.COMPLETED
        )
        if reopened:
            await self._indexes["open"].put_back(
                document.places["open"], task.id, stay=task.version
            )
        await asyncio.gather(
            self.announcements.say(task.id, following.history[-1], etag),
            self.announcements.make_room(document.history[: 1 - CHANGES_KEPT]),
        )
        await self.announcements.save(task.id, following, etag, read_at)

    def _turn(self, task_id: str) -> asyncio.Lock:
        lock = self._writers.get(task_id)
        if lock is None:
            lock = self._writers[task_id] = asyncio.Lock()
        return lock

    def _in_time(self) -> "_Deadline":
        return _Deadline(self._deadline)


class _Deadline:
    """Ends what it encloses after some seconds, as `Unavailable`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as late:
            raise Unavailable(f"No answer could be had within {self._seconds} s.") from late


def _check(precondition: Precondition | None, task: Task) -> None:
    if precondition and not precondition(task):
        raise PreconditionFailed(
            f"Task {task.id} is in version {task.version}; get it and try again."
        )


def _present(document: TaskDocument | None, task_id: str) -> Task:
    if document is None or document.present is None:
        raise TaskNotFound(f"There is no task {task_id}.")
    return document.present
