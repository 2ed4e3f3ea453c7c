"""Idempotency keys: for a week, one key makes one task, even after that task is deleted.

A record remembers which task a key stands for. It is written before the task, so a second request
finds it. Where the first attempt left a record and no task, the second bars the first task id
before it takes another: otherwise a save that is still under way would make two tasks.
"""

import asyncio
from datetime import timedelta
from typing import NamedTuple

from pydantic import BaseModel

from service_kit.keys import digest
from service_kit.ports import Conflict, StateStore
from shared_models import Task, TaskCreate
from task_api.task_documents import TaskDocument, TaskDocuments

KEPT_FOR = timedelta(days=7)
FIRST_ATTEMPT_MAY_TAKE = timedelta(seconds=2)
PAUSE = timedelta(milliseconds=20)


ALWAYS_COUNTED = {"title", "description", "priority", "assignee", "due_at"}
"""Fields of a body that count with any value. Others count where they differ from their default, so
a body has the same fingerprint in a release that does not know them."""


class KeyReused(Exception):
    """The idempotency key was used with another body."""


class TaskOfKeyDeleted(Exception):
    """The task that the idempotency key made is deleted."""


class _Record(BaseModel):
    schema_version: int = 1
    task_id: str
    body: str
    """Digest of the body that the key was first used with."""
    task_deleted: bool = False


def fingerprint(body: TaskCreate) -> str:
    """Return what two bodies have in common that ask for the same task."""
    counted = ALWAYS_COUNTED | body.model_dump(exclude_defaults=True).keys()
    return digest(body.model_dump_json(include=counted))


class Claim(NamedTuple):
    """What a key stands for: the task that it made, or from now on the one to make."""

    record: str
    task: Task | None = None


class IdempotencyKeys:
    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._documents = TaskDocuments(store)

    async def claim(self, key: str, wanted: TaskCreate, new_task_id: str) -> Claim:
        """Find the task of `key`, or have the key stand for the task `new_task_id`.

        Raises:
            KeyReused: the key was used with another body.
            TaskOfKeyDeleted: the task that the key made is deleted.
        """
        record_key = f"idempotency-{digest(key)}"
        body = fingerprint(wanted)
        while True:
            record, etag = await self._get(record_key)
            if record is None:
                if await self._put(record_key, _Record(task_id=new_task_id, body=body), None):
                    return Claim(record_key)
                continue
            if record.body != body:
                raise KeyReused("This Idempotency-Key was used with another body; use a new key.")
            if record.task_deleted:
                raise TaskOfKeyDeleted(
                    "The task made with this Idempotency-Key is deleted; use a new key."
                )
            document = await self._document_of_first_attempt(record.task_id)
            if document.task:
                if document.deleted:
                    raise TaskOfKeyDeleted(
                        "The task made with this Idempotency-Key is deleted; use a new key."
                    )
                return Claim(record_key, document.task)
            renewed = record.model_copy(update={"task_id": new_task_id})
            if await self._put(record_key, renewed, etag):
                return Claim(record_key)

    async def outlive_task(self, record_key: str) -> None:
        """Remember that the task of a record is deleted."""
        while True:
            record, etag = await self._get(record_key)
            if record is None or record.task_deleted:
                return
            if await self._put(record_key, record.model_copy(update={"task_deleted": True}), etag):
                return

    async def _document_of_first_attempt(self, task_id: str) -> TaskDocument:
        """Return the document of the first attempt, or the one that bars it for good."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FIRST_ATTEMPT_MAY_TAKE.total_seconds()
        while True:
            document, _ = await self._documents.get(task_id)
            if document:
                return document
            if loop.time() < deadline:
                await asyncio.sleep(PAUSE.total_seconds())
                continue
            try:
                barred = TaskDocument()
                await self._documents.save(task_id, barred, None, ttl=KEPT_FOR)
                return barred
            except Conflict:
                continue

    async def _get(self, record_key: str) -> tuple[_Record | None, str | None]:
        stored = await self._store.get(record_key)
        return (_Record.model_validate_json(stored.value), stored.etag) if stored else (None, None)

    async def _put(self, record_key: str, record: _Record, etag: str | None) -> bool:
        try:
            await self._store.save(
                record_key, record.model_dump_json().encode(), etag, ttl=KEPT_FOR
            )
        except Conflict:
            return False
        return True
