"""Ways to break the services on purpose: each corner of the design, cut off.

A break replaces methods of the services, or what they see of their ports, for as long as its
context lasts. Its name says what is wrong then.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import task_api.removals
from notification_service.notifications import Notifications
from service_kit.cursors import Place
from service_kit.index_pages import IndexPages
from service_kit.ports import Conflict, Unavailable
from service_kit.records import Records
from shared_models import (
    CloudEvent,
    Notification,
    NotificationReceipt,
    NotificationRequest,
    NotificationStatus,
    Task,
    TaskEventType,
)
from shared_models.moments import now
from task_api.announcements import Announcements, Intent, Intents
from task_api.idempotency import KEPT_FOR, IdempotencyKeys
from task_api.removals import Removals
from task_api.reserved_ids import ReservedId, ReservedIds
from task_api.task_documents import Change, TaskDocument, TaskDocuments, new_id
from task_api.tasks import Tasks
from tests.simulation import processes
from tests.simulation.processes import PublisherPort, StorePort, TaskApi
from tests.simulation.stored_state import StoredState

Break = Callable[[], AbstractContextManager[object]]
BREAKS: dict[str, Break] = {}


def breaks(break_it: Callable[[], Iterator[None]]) -> Break:
    BREAKS[break_it.__name__] = contextmanager(break_it)
    return BREAKS[break_it.__name__]


# --- say, save, announce ---------------------------------------------------------------------


@breaks
def nothing_is_said_before_the_save() -> Iterator[None]:
    async def say(self: Announcements, task_id: str, change: Change, replaces: str | None) -> None:
        """Leave it to the writer to announce what it saved."""

    save = Announcements.save

    async def save_and_announce(
        self: Announcements,
        task_id: str,
        document: TaskDocument,
        replaces: str | None,
        read_at: float | None = None,
    ) -> None:
        await save(self, task_id, document, replaces, read_at)
        await self.make_room(document.history[-1:])

    with (
        patch.object(Announcements, "say", say),
        patch.object(Announcements, "save", save_and_announce),
    ):
        yield


@breaks
def the_change_is_said_after_the_save() -> Iterator[None]:
    say, save = Announcements.say, Announcements.save

    async def later(*_: object) -> None: ...

    async def save_and_say(
        self: Announcements,
        task_id: str,
        document: TaskDocument,
        replaces: str | None,
        read_at: float | None = None,
    ) -> None:
        await save(self, task_id, document, replaces, read_at)
        await say(self, task_id, document.history[-1], replaces)

    with (
        patch.object(Announcements, "say", later),
        patch.object(Announcements, "save", save_and_say),
    ):
        yield


@breaks
def a_change_id_is_that_of_the_version() -> Iterator[None]:
    changed = TaskDocument.changed

    def renamed(self: TaskDocument, task: Task, event_type: TaskEventType) -> TaskDocument:
        document = changed(self, task, event_type)
        last = document.history[-1].model_copy(update={"id": f"{task.id}:{task.version}"})
        return document.model_copy(update={"history": [*document.history[:-1], last]})

    with patch.object(TaskDocument, "changed", renamed):
        yield


@breaks
def the_event_is_taken_from_what_was_said() -> Iterator[None]:
    say, handle = Announcements.say, Announcements.handle
    said: dict[str, Change] = {}

    async def note(self: Announcements, task_id: str, change: Change, replaces: str | None) -> None:
        said[change.id] = change
        await say(self, task_id, change, replaces)

    async def announce_as_said(self: Announcements, event: CloudEvent) -> None:
        for intent in _intents(event):
            await self.make_room([said[intent.change_id]])
        await handle(self, event)

    with (
        patch.object(Announcements, "say", note),
        patch.object(Announcements, "handle", announce_as_said),
    ):
        yield


@breaks
def what_is_not_found_at_once_is_dropped() -> Iterator[None]:
    with _dropping(after=timedelta(0)):
        yield


@breaks
def what_is_not_found_for_long_is_dropped_without_a_bar() -> Iterator[None]:
    with _dropping(after=timedelta(milliseconds=12)):
        yield


@breaks
def an_open_intent_is_not_said_again() -> Iterator[None]:
    settle = Announcements._settle

    async def once(self: Announcements, intent: Intent) -> bool:
        await settle(self, intent)
        return True

    with patch.object(Announcements, "_settle", once):
        yield


@breaks
def an_open_intent_is_said_again_for_ever() -> Iterator[None]:
    async def not_barred(self: Announcements, intent: Intent, document: object) -> None:
        await asyncio.sleep(0.005)

    with patch.object(Announcements, "_bar", not_barred):
        yield


@breaks
def an_announcement_that_failed_is_given_up() -> Iterator[None]:
    handle = Announcements.handle

    async def once(self: Announcements, event: CloudEvent) -> None:
        try:
            await handle(self, event)
        except (Unavailable, Conflict):
            return

    with patch.object(Announcements, "handle", once):
        yield


@breaks
def a_save_that_failed_is_not_read_back() -> Iterator[None]:
    async def save(
        self: Announcements,
        task_id: str,
        document: TaskDocument,
        replaces: str | None,
        read_at: float | None = None,
    ) -> None:
        await self._documents.save(task_id, document, replaces)

    with patch.object(Announcements, "save", save):
        yield


@breaks
def a_creation_whose_outcome_is_open_is_made_again() -> Iterator[None]:
    save = Announcements.save

    async def save_or_conflict(
        self: Announcements,
        task_id: str,
        document: TaskDocument,
        replaces: str | None,
        read_at: float | None = None,
    ) -> None:
        try:
            await save(self, task_id, document, replaces, read_at)
        except Unavailable as error:
            raise Conflict("taken for not saved") from error

    with patch.object(Announcements, "save", save_or_conflict):
        yield


# --- what leaves the store -------------------------------------------------------------------


@breaks
def old_changes_leave_the_history_unannounced() -> Iterator[None]:
    make_room = Announcements.make_room

    async def for_deletions(self: Announcements, history: Sequence[Change]) -> None:
        if history and history[-1].event.event_type is TaskEventType.DELETED:
            await make_room(self, history)

    with patch.object(Announcements, "make_room", for_deletions):
        yield


@breaks
def every_change_is_noted_as_announced() -> Iterator[None]:
    def note(self: Announcements, history: Sequence[Change]) -> None:
        for change in history:
            change.announced = True

    with patch.object(Announcements, "note_announced", note):
        yield


@breaks
def a_deleted_task_leaves_with_unannounced_changes() -> Iterator[None]:
    make_room = Announcements.make_room

    async def for_updates(self: Announcements, history: Sequence[Change]) -> None:
        if history and history[-1].event.event_type is not TaskEventType.DELETED:
            await make_room(self, history)

    with patch.object(Announcements, "make_room", for_updates):
        yield


@breaks
def a_deleted_task_is_removed_before_that_is_announced() -> Iterator[None]:
    delete = Tasks.delete

    async def at_once(self: Tasks, task_id: str) -> None:
        await delete(self, task_id)
        _, etag = await self._documents.get(task_id)
        if etag:
            await self._documents.delete(task_id, etag)

    with patch.object(Tasks, "delete", at_once):
        yield


@breaks
def a_deletion_removes_whatever_is_stored() -> Iterator[None]:
    """A deletion is no change of its own: no tombstone, no event, no ETag."""
    delete = TaskDocuments.delete

    async def without_etag(self: TaskDocuments, task_id: str, etag: str) -> None:
        _, etag_now = await self.get(task_id)
        if etag_now:
            await delete(self, task_id, etag_now)

    async def remove(self: Tasks, task_id: str) -> None:
        await self.get(task_id)
        await without_etag(self._documents, task_id, "")

    with patch.object(Tasks, "delete", remove):
        yield


@breaks
def a_deleted_task_is_not_removed() -> Iterator[None]:
    async def keep(*_: object) -> None: ...

    with patch.object(Removals, "remove", keep):
        yield


@breaks
def a_slow_writer_does_not_look_for_the_mark() -> Iterator[None]:
    async def trust(self: Removals, task_id: str, change_id: str, read_at: float) -> bool:
        return False

    with patch.object(Removals, "undo_late_save", trust):
        yield


@breaks
def a_removed_task_leaves_no_mark() -> Iterator[None]:
    save = StorePort.save

    async def without_marks(
        self: StorePort, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        if not key.startswith("removed-"):
            await save(self, key, value, etag, ttl)

    async def remove_key(self: Removals, task_id: str) -> None:
        await asyncio.sleep(task_api.removals.REMOVED_AFTER.total_seconds())
        _, etag = await self._documents.get(task_id)
        if etag:
            await self._documents.delete(task_id, etag)

    with (
        patch.object(StorePort, "save", without_marks),
        patch.object(Removals, "_remove_key", remove_key),
    ):
        yield


@breaks
def a_change_is_made_of_whatever_is_stored() -> Iterator[None]:
    """Also of what a late save brought back."""
    with patch.object(TaskDocuments, "get_to_change", TaskDocuments.get):
        yield


@breaks
def nobody_looks_after_a_removal() -> Iterator[None]:
    with patch.object(task_api.removals, "LOOKS_AFTER", ()):
        yield


@breaks
def whoever_finds_the_mark_removes_the_tombstone() -> Iterator[None]:
    async def undo(self: Removals, task_id: str) -> bool:
        marked = await self._documents.removed_by(task_id) is not None
        return marked and await self._clear(task_id)

    with patch.object(Removals, "undo_if_removed", undo):
        yield


@breaks
def a_task_is_removed_before_a_slow_writer_would_look() -> Iterator[None]:
    with patch.object(task_api.removals, "REMOVED_AFTER", timedelta(0)):
        yield


@breaks
def a_tombstone_is_kept_for_good() -> Iterator[None]:
    with patch.object(task_api.removals, "TOMBSTONE_KEPT_FOR", None):
        yield


@breaks
def a_bar_may_bring_a_removed_task_back() -> Iterator[None]:
    async def bar(self: Announcements, intent: Intent, document: TaskDocument | None) -> None:
        if document is None:
            await self._documents.save(intent.task_id, TaskDocument(), None)
        else:
            await self._documents.save(intent.task_id, document, intent.replaces)

    with patch.object(Announcements, "_bar", bar):
        yield


# --- idempotency keys ------------------------------------------------------------------------


@breaks
def an_idempotency_key_forgets_deleted_tasks() -> Iterator[None]:
    async def forget(self: IdempotencyKeys, record_key: str) -> None: ...

    with patch.object(IdempotencyKeys, "outlive_task", forget):
        yield


@breaks
def the_first_attempt_of_an_idempotency_key_is_not_barred() -> Iterator[None]:
    save = StorePort.save

    async def without_bar(
        self: StorePort, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        if not (key.startswith("task-") and ttl == KEPT_FOR):
            await save(self, key, value, etag, ttl)

    with patch.object(StorePort, "save", without_bar):
        yield


@breaks
def an_idempotency_key_is_noted_after_its_task() -> Iterator[None]:
    create, claim = Tasks.create, IdempotencyKeys.claim

    async def create_and_claim(
        self: Tasks, wanted: Any, idempotency_key: str | None = None
    ) -> Task:
        task = await create(self, wanted)
        if idempotency_key is not None:
            await claim(self._keys, idempotency_key, wanted, task.id)
        return task

    with patch.object(Tasks, "create", create_and_claim):
        yield


# --- the ports -------------------------------------------------------------------------------


@breaks
def saves_of_tasks_do_not_name_an_etag() -> Iterator[None]:
    with _saves_without_etag("task-"):
        yield


@breaks
def saves_of_lists_do_not_name_an_etag() -> Iterator[None]:
    with _saves_without_etag("index-"):
        yield


@breaks
def saves_of_idempotency_keys_do_not_name_an_etag() -> Iterator[None]:
    with _saves_without_etag("idempotency-"):
        yield


@breaks
def saves_of_notifications_do_not_name_an_etag() -> Iterator[None]:
    with _saves_without_etag("notification-"):
        yield


@breaks
def a_failed_publication_counts_as_done() -> Iterator[None]:
    publish = PublisherPort.publish

    async def careless(self: PublisherPort, topic: str, event: CloudEvent) -> None:
        try:
            await publish(self, topic, event)
        except Unavailable:
            return

    with patch.object(PublisherPort, "publish", careless):
        yield


@breaks
def a_failed_save_counts_as_done() -> Iterator[None]:
    save = StorePort.save

    async def careless(
        self: StorePort, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        try:
            await save(self, key, value, etag, ttl)
        except Unavailable:
            return

    with patch.object(StorePort, "save", careless):
        yield


# --- lists and notifications -----------------------------------------------------------------


@breaks
def a_task_is_listed_after_it_is_stored() -> Iterator[None]:
    add = IndexPages.add

    async def in_the_background(self: IndexPages, ids: Sequence[str]) -> list[Place]:
        head, _ = await self._head()
        self.adding = asyncio.create_task(add(self, ids))  # type: ignore[attr-defined]
        return [Place(head.number, len(head.ids) + number) for number in range(len(ids))]

    with patch.object(IndexPages, "add", in_the_background):
        yield


@breaks
def a_late_completion_takes_a_reopened_task_off_the_list() -> Iterator[None]:
    remove = IndexPages.remove

    async def whenever_it_came(
        self: IndexPages, place: Place, id: str, before: int | None = None
    ) -> None:
        await remove(self, place, id)

    with patch.object(IndexPages, "remove", whenever_it_came):
        yield


@breaks
def a_notification_is_sent_for_every_delivery() -> Iterator[None]:
    notify = Notifications.notify

    async def anonymous(self: Notifications, request: NotificationRequest) -> NotificationReceipt:
        return await notify(self, request.model_copy(update={"event_id": None}))

    with patch.object(Notifications, "notify", anonymous):
        yield


@breaks
def a_completion_that_could_not_be_told_is_given_up() -> Iterator[None]:
    handle = TaskApi.handle

    async def once(self: TaskApi, event: CloudEvent) -> None:
        try:
            await handle(self, event)
        except Unavailable:
            if event.type == TaskEventType.COMPLETED:
                return
            raise

    with patch.object(TaskApi, "handle", once):
        yield


@breaks
def a_pending_notification_counts_as_delivered() -> Iterator[None]:
    with patch.object(Notifications, "_taken_over", lambda self, present: None):
        yield


@breaks
def a_pending_notification_is_delivered_at_once() -> Iterator[None]:
    def take_over(self: Notifications, present: Notification) -> Notification | None:
        if present.status is NotificationStatus.SENT:
            return None
        return present.model_copy(update={"created_at": now()})

    with patch.object(Notifications, "_taken_over", take_over):
        yield


@breaks
def a_delivery_is_taken_over_while_it_is_under_way() -> Iterator[None]:
    with patch.object(processes, "DELIVERY_MAY_TAKE", timedelta(milliseconds=8)):
        yield


@breaks
def a_notification_whose_mark_failed_is_forgotten() -> Iterator[None]:
    deliver_once = Notifications._deliver_once

    async def forgetful(
        self: Notifications, id: str, request: NotificationRequest
    ) -> NotificationStatus:
        self._delivered.clear()
        return await deliver_once(self, id, request)

    with patch.object(Notifications, "_deliver_once", forgetful):
        yield


@breaks
def a_notification_counts_as_sent_before_it_is_delivered() -> Iterator[None]:
    add = Records.add

    async def add_as_sent(
        self: Records[Any], id: str, thing: Any, group: str | None = None
    ) -> bool:
        sent = thing.model_copy(update={"status": NotificationStatus.SENT})
        return await add(self, id, sent, group)

    with patch.object(Records, "add", add_as_sent):
        yield


# --- reserved ids ----------------------------------------------------------------------------


@breaks
def a_reserved_id_is_given_out_twice() -> Iterator[None]:
    take = ReservedIds.take

    async def and_keep(self: ReservedIds) -> ReservedId:
        reserved = await take(self)
        if reserved not in self._ready:
            self._ready.append(reserved)
        return reserved

    with patch.object(ReservedIds, "take", and_keep):
        yield


@breaks
def a_reserved_id_is_taken_back_while_it_is_used() -> Iterator[None]:
    take = ReservedIds.take

    async def and_give_back(self: ReservedIds) -> ReservedId:
        reserved = await take(self)
        self.give_back(reserved)
        return reserved

    with patch.object(ReservedIds, "take", and_give_back):
        yield


def _intents(event: CloudEvent) -> list[Intent]:
    return Intents.model_validate(event.data).intents


@contextmanager
def _dropping(after: timedelta) -> Iterator[None]:
    """Hand on only the intents whose change is found within some time."""
    handle = Announcements.handle

    async def found(self: Announcements, intent: Intent) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + after.total_seconds()
        while True:
            document, _ = await self._documents.get(intent.task_id)
            if document and document.change(intent.change_id):
                return True
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(0.005)

    async def handle_found(self: Announcements, event: CloudEvent) -> None:
        kept = [intent for intent in _intents(event) if await found(self, intent)]
        data = Intents(intents=kept).model_dump(mode="json")
        await handle(self, event.model_copy(update={"id": new_id(), "data": data}))

    with patch.object(Announcements, "handle", handle_found):
        yield


@contextmanager
def _saves_without_etag(start_of_key: str) -> Iterator[None]:
    """Have the store overwrite keys with this start, whatever is there."""
    save = StoredState.save

    def overwrite(
        self: StoredState, key: str, value: bytes, etag: str | None, expiry: float = math.inf
    ) -> None:
        present = self.get(key)
        if key.startswith(start_of_key):
            etag = present.etag if present else None
        save(self, key, value, etag, expiry)

    with ExitStack() as patches:
        patches.enter_context(patch.object(StoredState, "save", overwrite))
        yield
