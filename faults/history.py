"""What clients, store, broker and recipients saw of a run, and whether it fits together.

It knows the contract and nothing of the services' code. One convention of the clients lets it tell
things apart: each creation, and each completion of a task, has a title of its own.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

CREATED, COMPLETED, DELETED = "task.created", "task.completed", "task.deleted"

COLUMNS = {
    "lost": "acknowledged, and not in the store (of a deleted task: not among its events)",
    "unannounced": "stored, and never received by a subscriber",
    "phantom": "received or notified, and never stored; or one creation that made two tasks",
    "altered": "received otherwise than it is stored or was acknowledged",
    "resurrected": "in the store after its deletion was acknowledged",
    "notified_twice": "a completion with more than one notification, listed or delivered",
    "not_notified": "a completion without a notification",
}
"""The ways to break the guarantee, and what each means. All have to be 0."""


@dataclass(frozen=True, slots=True)
class Change:
    """One version of a task, as it was acknowledged, is stored or was announced."""

    task_id: str
    version: int
    type: str
    title: str
    status: str
    priority: int
    assignee: str | None
    due_at: str | None
    moment: str

    def __str__(self) -> str:
        return f"{self.task_id}:{self.version} ({self.type}, {self.title!r}, {self.status})"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A change as a subscriber received it, under the id of its event."""

    id: str
    change: Change


@dataclass(frozen=True, slots=True)
class StoredTask:
    deleted: bool
    changes: tuple[Change, ...]
    """The last changes, oldest first; those before them were dropped."""


@dataclass(frozen=True, slots=True)
class Notification:
    id: str
    task_id: str
    message: str
    created_at: str = ""


@dataclass
class History:
    acknowledged: list[Change] = field(default_factory=list)
    """Without the deletions, whose answer has no content."""
    deleted: set[str] = field(default_factory=set)
    """Tasks whose deletion was acknowledged."""
    stored: dict[str, StoredTask] = field(default_factory=dict)
    received: list[Announcement] = field(default_factory=list)
    """In the order of receipt, with those that came again."""
    listed: list[Notification] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    """The notification's id of each delivery."""


@dataclass
class Verdict:
    found: dict[str, list[str]] = field(default_factory=lambda: {column: [] for column in COLUMNS})
    """What breaks the guarantee, one line each, by column."""
    repeated: int = 0
    """Events that came again, which at-least-once delivery allows."""

    @property
    def clean(self) -> bool:
        return not any(self.found.values())

    def counts(self) -> dict[str, int]:
        return {column: len(found) for column, found in self.found.items()}


def check(history: History) -> Verdict:
    """Compare what was acknowledged, stored, received and notified."""
    verdict = Verdict()
    announced = _announced(history.received, verdict)
    acknowledged: dict[str, list[Change]] = defaultdict(list)
    for change in history.acknowledged:
        acknowledged[change.task_id].append(change)
    for task_id in {*acknowledged, *history.deleted, *history.stored, *announced}:
        heard = announced.get(task_id, {})
        task = history.stored.get(task_id)
        if task and task_id in history.deleted and not task.deleted:
            verdict.found["resurrected"].append(
                f"{task_id} is in the store: {task.changes[-1] if task.changes else 'no change'}"
            )
        elif task:
            _check_present(acknowledged[task_id], task, heard, verdict)
        elif task_id in history.deleted:
            _check_removed(task_id, acknowledged[task_id], heard, verdict)
        else:
            column = "lost" if acknowledged[task_id] else "phantom"
            verdict.found[column] += [
                f"{change}: its task is not in the store"
                for change in acknowledged[task_id] or heard.values()
            ]
    _check_creations(history, verdict)
    _check_notifications(history, verdict)
    return verdict


def _announced(received: Iterable[Announcement], verdict: Verdict) -> dict[str, dict[int, Change]]:
    """Return the announced changes by task and version; count and compare what came again."""
    announced: dict[str, dict[int, Change]] = defaultdict(dict)
    for announcement in received:
        change = announcement.change
        if announcement.id != f"{change.task_id}:{change.version}":
            verdict.found["altered"].append(f"{change}: its event has the id {announcement.id}")
        versions = announced[change.task_id]
        if change.version not in versions:
            versions[change.version] = change
        else:
            verdict.repeated += 1
            first = versions[change.version]
            if first != change:
                verdict.found["altered"].append(f"{first}: came again as {change}")
    return announced


def _check_present(
    acknowledged: Iterable[Change], task: StoredTask, heard: dict[int, Change], verdict: Verdict
) -> None:
    """Check a task that has a document, if only one that says that it is deleted."""
    stored = {change.version: change for change in task.changes}
    oldest = min(stored, default=1)
    for change in acknowledged:
        # What left the bounded history was announced before.
        kept = stored if change.version >= oldest else heard
        if kept.get(change.version) != change:
            verdict.found["lost"].append(f"{change}: there is {kept.get(change.version)}")
    for version in range(1, max(stored, default=0) + 1):
        if version not in heard:
            verdict.found["unannounced"].append(str(stored.get(version, f"version {version}")))
        elif version in stored and heard[version] != stored[version]:
            verdict.found["altered"].append(f"{stored[version]}: announced as {heard[version]}")
    for version, change in heard.items():
        if version >= oldest and version not in stored:
            verdict.found["phantom"].append(f"{change}: never stored")


def _check_removed(
    task_id: str, acknowledged: Iterable[Change], heard: dict[int, Change], verdict: Verdict
) -> None:
    """Check a deleted task. Its document is gone, so its events have to tell the whole story."""
    deletions = [version for version, change in heard.items() if change.type == DELETED]
    if not deletions:
        verdict.found["unannounced"].append(f"{task_id}: its deletion")
    last = min(deletions, default=max(heard, default=0))
    for version in range(1, last):
        if version not in heard:
            verdict.found["unannounced"].append(f"{task_id}:{version}, before its deletion")
    for change in acknowledged:
        if change.version >= last and deletions:
            verdict.found["lost"].append(f"{change}: not before the deletion in version {last}")
        elif change.version in heard and heard[change.version] != change:
            verdict.found["altered"].append(f"{change}: announced as {heard[change.version]}")
        elif change.version not in heard and change.version > last:
            verdict.found["unannounced"].append(f"{change}, of a deleted task")
    for version, change in heard.items():
        if deletions and version > last:
            verdict.found["phantom"].append(f"{change}: after the deletion")


def _check_creations(history: History, verdict: Verdict) -> None:
    """Check that no creation made two tasks, however often it was sent."""
    made: dict[str, set[str]] = defaultdict(set)
    for change in _changes(history):
        if change.type == CREATED:
            made[change.title].add(change.task_id)
    for title, tasks in made.items():
        if len(tasks) > 1:
            verdict.found["phantom"].append(f"{title!r} was created as {sorted(tasks)}")


def _check_notifications(history: History, verdict: Verdict) -> None:
    completions: dict[str, dict[int, str]] = defaultdict(dict)
    for change in _changes(history):
        if change.type == COMPLETED:
            completions[change.task_id][change.version] = change.title
    listed: dict[str, list[Notification]] = defaultdict(list)
    for notification in history.listed:
        listed[notification.task_id].append(notification)
    for task_id in {*completions, *listed}:
        unexplained = listed[task_id]
        for version, title in completions[task_id].items():
            about = [each for each in unexplained if f"'{title}'" in each.message]
            unexplained = [each for each in unexplained if each not in about]
            if not about:
                verdict.found["not_notified"].append(f"{task_id}:{version} ({title!r})")
            elif len(about) > 1:
                verdict.found["notified_twice"].append(f"{task_id}:{version}: listed {about}")
        verdict.found["phantom"] += [f"{each}: nothing was completed" for each in unexplained]
    known = {notification.id for notification in history.listed}
    for id, times in Counter(history.delivered).items():
        if times > 1:
            verdict.found["notified_twice"].append(f"notification {id}: delivered {times} times")
        if id not in known:
            verdict.found["phantom"].append(f"notification {id}: delivered and not listed")


def _changes(history: History) -> Iterator[Change]:
    """Yield all changes that are stored or were received."""
    for task in history.stored.values():
        yield from task.changes
    for announcement in history.received:
        yield announcement.change
