"""What really happened in a simulated world, and the rules that it has to keep.

The ledger is written by the store, the broker, the clients and the people who are notified, at the
moment of the effect; the services have no part in it but the documents that they store.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from shared_models import (
    CloudEvent,
    Notification,
    NotificationStatus,
    Task,
    TaskEvent,
    TaskEventType,
    TaskStatus,
)
from task_api.task_documents import TaskDocument


class Hole(Enum):
    """Where the services are known not to keep the rules."""

    LOOKS_CUT_SHORT = "a process stops that was to look for what a late save brings back"


@dataclass
class Ledger:
    stored: dict[str, TaskEvent] = field(default_factory=dict)
    """The changes that were stored, by the id of their event."""
    versions: dict[str, TaskEvent] = field(default_factory=dict)
    """The newest change of each task."""
    announced: dict[str, CloudEvent] = field(default_factory=dict)
    delivered: Counter[str] = field(default_factory=Counter)
    """How often each notification went out, by its id."""
    delivering: dict[str, set[int]] = field(default_factory=dict)
    """The processes inside the delivery of a notification, which ends with the mark."""
    cut_short: Counter[str] = field(default_factory=Counter)
    """How often a process was hit inside the delivery of a notification."""
    returned: set[str] = field(default_factory=set)
    """The removed tasks that a late save made again."""
    looks_cut_short: bool = False
    """A process was stopped that was to remove a key and to look for what comes back."""
    violations: list[str] = field(default_factory=list)

    def copy(self) -> "Ledger":
        return Ledger(
            stored=dict(self.stored),
            versions=dict(self.versions),
            announced=dict(self.announced),
            delivered=Counter(self.delivered),
        )

    def violated(self, rule: str) -> None:
        self.violations.append(rule)

    def store(self, document: TaskDocument, *, anew: bool) -> None:
        """Note a document that the store has taken.

        Args:
            anew: nothing was there under its key.
        """
        task = document.task
        if task is None:
            return  # it bars a creation
        newest = self.versions.get(task.id)
        event = document.history[-1].event
        if newest and newest.event_type is TaskEventType.DELETED and anew:
            # No store keeps a late save from making the key of a removed task again. It has to be
            # as if it never was: nobody may hear of it, and in the end `check_keys` has it gone.
            self.returned.add(task.id)
        elif newest and newest.event_type is TaskEventType.DELETED and event != newest:
            if task.id not in self.returned:
                self.violated(f"deleted task {task.id} came back in version {task.version}")
        elif newest and newest.version == task.version:
            if event != newest:
                self.violated(f"{event.id} was stored again as something else")
        elif task.version != (newest.version if newest else 0) + 1:
            self.violated(f"{event.id} was stored after {newest.id if newest else 'nothing'}")
        elif event != TaskEvent.of(task, event.event_type):
            self.violated(f"{event.id} does not say what task {task.id} became")
        else:
            self.stored[event.id] = event
            self.versions[task.id] = event

    def announce(self, event: CloudEvent) -> None:
        """Note an event that the broker has taken."""
        stored = self.stored.get(event.id)
        known = self.announced.get(event.id)
        if stored is None:
            self.violated(f"{event.id} was announced and never stored")
        elif (known is None and event != CloudEvent.of(stored, "task-api")) or (
            known is not None and event != known
        ):
            self.violated(f"{event.id} was announced as something else than what was stored")
        else:
            self.announced[event.id] = event

    def begin_delivery(self, notification: Notification, process: int) -> None:
        self.delivering.setdefault(notification.id, set()).add(process)

    def deliver(self, notification: Notification) -> None:
        """Note a notification that went out: once, and again for each process hit inside."""
        self.delivered[notification.id] += 1
        if self.delivered[notification.id] > 1 + self.cut_short[notification.id]:
            self.violated(f"a notification of task {notification.task_id} went out twice")

    def note_notification(self, record: bytes) -> None:
        """Note a record that the store has taken."""
        notification = Notification.model_validate(json.loads(record)["thing"])
        if notification.status is NotificationStatus.SENT:
            self.delivering.pop(notification.id, None)
            if not self.delivered[notification.id]:
                self.violated(f"a notification of {notification.task_id} is only said to be sent")

    def hit(self, process: int) -> None:
        """Note that a process was stopped or frozen."""
        for id, processes in self.delivering.items():
            if process in processes:
                processes.remove(process)
                self.cut_short[id] += 1

    def acknowledge_task(self, wanted: str, task: Task) -> None:
        """Note a task that a client was answered with, once it is as it `wanted` it."""
        event = self.stored.get(f"{task.id}:{task.version}")
        if event is None:
            self.violated(f"{wanted} was acknowledged and is not stored")
        elif event != TaskEvent.of(task, event.event_type):
            self.violated(f"{wanted} was acknowledged as something else than what is stored")

    def acknowledge_deletion(self, task_id: str) -> None:
        if not self.is_deleted(task_id):
            self.violated(f"the deletion of {task_id} was acknowledged and is not stored")

    def is_deleted(self, task_id: str) -> bool:
        newest = self.versions.get(task_id)
        return newest is not None and newest.event_type is TaskEventType.DELETED

    def hole(self) -> Hole | None:
        """Return the known hole that may excuse a violation."""
        return Hole.LOOKS_CUT_SHORT if self.looks_cut_short and self.returned else None

    def of_type(self, event_type: TaskEventType) -> list[TaskEvent]:
        return [event for event in self.stored.values() if event.event_type is event_type]

    def check_announcements(self) -> None:
        """Check, after all faults, that every change found its way out."""
        for id in self.stored.keys() - self.announced.keys():
            self.violated(f"{id} was stored and never announced")

    def check_creations(self) -> None:
        """Check that no attempt to make a task made two; each has a title of its own."""
        titles = Counter(event.title for event in self.of_type(TaskEventType.CREATED))
        for title, count in titles.items():
            if count > 1:
                self.violated(f"{count} tasks were made where one was asked for: {title}")

    def check_keys(self, documents: Iterable[TaskDocument]) -> None:
        """Check what is left in the store under the keys of tasks."""
        left = {document.task.id: document.task for document in documents if document.task}
        for task_id, newest in self.versions.items():
            gone = newest.event_type is TaskEventType.DELETED
            if gone and task_id in left:
                self.violated(f"deleted task {task_id} is still stored")
            if not gone and (task_id not in left or left[task_id].version != newest.version):
                self.violated(f"task {task_id} is not stored in its newest version")

    def check_lists(self, everything: Iterable[Task], pending: Iterable[Task]) -> None:
        there = {
            task_id: event
            for task_id, event in self.versions.items()
            if event.event_type is not TaskEventType.DELETED
        }
        if Counter(task.id for task in everything) != Counter(there.keys()):
            self.violated("the list of all tasks has not each stored task once")
        open_ids = [id for id, event in there.items() if event.status is TaskStatus.PENDING]
        if Counter(task.id for task in pending) != Counter(open_ids):
            self.violated("the list of pending tasks has not each of them once")

    def check_notifications(self, listed: Iterable[Notification]) -> None:
        """Check that each completion has one notification, which went out."""
        notifications = list(listed)
        completions = Counter(e.task_id for e in self.of_type(TaskEventType.COMPLETED))
        if Counter(each.task_id for each in notifications) != completions:
            self.violated("there is not one notification for each completion")
        for notification in notifications:
            if not self.delivered[notification.id]:
                self.violated(f"a notification of {notification.task_id} did not go out")
