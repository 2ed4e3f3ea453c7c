"""What really happened in a simulated world, and the rules that it has to keep.

The ledger is written by the store, the broker, the clients and the people who are notified, at the
moment of the effect; the services have no part in it but the documents that they store.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared_models import CloudEvent, Notification, Task, TaskEvent, TaskEventType, TaskStatus
from task_api.task_documents import TaskDocument


@dataclass
class Ledger:
    stored: dict[str, TaskEvent] = field(default_factory=dict)
    """The changes that were stored, by the id of their event."""
    versions: dict[str, TaskEvent] = field(default_factory=dict)
    """The newest change of each task."""
    announced: dict[str, CloudEvent] = field(default_factory=dict)
    delivered: Counter[str] = field(default_factory=Counter)
    """How often each notification went out, by its id."""
    violations: list[str] = field(default_factory=list)

    def copy(self) -> "Ledger":
        return Ledger(
            dict(self.stored), dict(self.versions), dict(self.announced), Counter(self.delivered)
        )

    def violated(self, rule: str) -> None:
        self.violations.append(rule)

    def store(self, document: TaskDocument) -> None:
        """Note a document that the store has taken."""
        task = document.task
        if task is None:
            return  # it bars a creation
        newest = self.versions.get(task.id)
        event = document.history[-1].event
        if newest and newest.event_type is TaskEventType.DELETED and not document.deleted:
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

    def deliver(self, notification: Notification) -> None:
        self.delivered[notification.id] += 1
        if self.delivered[notification.id] > 1:
            self.violated(f"a notification of task {notification.task_id} went out twice")

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

    def check_notifications(self, listed: Iterable[Notification], *, all_went_out: bool) -> None:
        """Check that each completion has one notification, which went out once at most.

        Args:
            all_went_out: nothing kept notification-service from sending what it stored.
        """
        notifications = list(listed)
        completions = Counter(e.task_id for e in self.of_type(TaskEventType.COMPLETED))
        if Counter(each.task_id for each in notifications) != completions:
            self.violated("there is not one notification for each completion")
        for notification in notifications:
            if all_went_out and not self.delivered[notification.id]:
                self.violated(f"a notification of {notification.task_id} did not go out")
