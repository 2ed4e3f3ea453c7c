"""The probe, seen from outside the cluster: it makes load, and what came of it is checked here."""

import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import yaml

from faults.campaign import LATE_SECONDS
from faults.history import COLUMNS, COMPLETED, Announcement, Change, History, Notification, check
from faults.load import Acknowledged, Failure
from faults.observations import DOCUMENTS, logged_deliveries, stored_task
from faults.report import quantile
from tests.cluster import inside
from tests.cluster.cluster import TASK_API, Json, Namespace, eventually
from tests.cluster.report import Figures, Report
from tools.local_system import ROOT

HERE = Path(__file__).parent
CHANGES_A_SECOND = 100
STEADY_SECONDS = 3
SETTLES_WITHIN_SECONDS = 120
PROBE_URL = f"http://127.0.0.1:{inside.PORT}"


@dataclass
class Work:
    """What the clients of a load did and were told."""

    name: str
    acknowledged: list[Acknowledged] = field(default_factory=list)
    deleted: dict[str, float] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def of_json(cls, name: str, told: Json) -> "Work":
        acknowledged = [
            Acknowledged(**{**each, "change": Change(**each["change"])})
            for each in told.pop("acknowledged")
        ]
        failed = [Failure(**each) for each in told.pop("failed")]
        return cls(name, acknowledged=acknowledged, failed=failed, **told)

    def made(self, text: str) -> bool:
        """Return whether a title, or a message with one in quotes, is of this load's tasks."""
        return re.search(rf"(^|'){re.escape(self.name)} \d", text) is not None

    def longest_gap(self) -> float:
        """Return the longest time in which no change was acknowledged."""
        moments = sorted([*(each.at for each in self.acknowledged), *self.deleted.values()])
        gaps = (after - before for before, after in pairwise(moments))
        return max(gaps, default=0.0)

    def failing_for(self) -> float:
        """Return the time from the start of the first failed attempt to the end of the last."""
        if not self.failed:
            return 0.0
        first = min(each.started for each in self.failed)
        return max(each.at for each in self.failed) - first


@dataclass
class Outcome:
    """What came of a load, once it is over and settled; before, it is empty."""

    failed: list[str] = field(default_factory=list)
    """The attempts that failed."""
    broken: list[str] = field(default_factory=list)
    """What breaks the guarantee or the contract."""
    figures: Figures | None = None


def longest_notification(history: History) -> float:
    """Return the longest time from a completion to its notification, by the services' clocks."""
    completed = {
        f"Task '{change.title}' has been completed": datetime.fromisoformat(change.moment)
        for change in history.acknowledged
        if change.type == COMPLETED
    }
    delays = [
        (datetime.fromisoformat(each.created_at) - completed[each.message]).total_seconds()
        for each in history.listed
        if each.message in completed
    ]
    return max(delays, default=0.0)


class Probe:
    """The probe's pod in a namespace.

    Args:
        logs: the folder with the logs of notification-service, where deliveries are told of.
    """

    def __init__(self, namespace: Namespace, logs: Path, report: Report) -> None:
        self.container = namespace.container("probe")
        self._namespace = namespace
        self._logs = logs
        self._report = report
        self._works: list[Work] = []
        self._letters: set[str] = set()
        self._seen = History()
        """Of all loads together, without what their clients were told."""

    def deploy(self) -> None:
        """Start the probe with the image that task-api runs, and wait until it hears events."""
        self._namespace.apply(*self._objects())
        self._namespace.kubectl("rollout", "status", "deployment/probe", "--timeout=120s")
        eventually(
            lambda: self.container.ask_sidecar("GET", "/v1.0/metadata").json().get("subscriptions")
        )

    def heard(self, task_id: str) -> list[str]:
        """Return the types of the events that the probe received of a task."""
        self._receive()
        return [each.change.type for each in self._seen.received if each.change.task_id == task_id]

    @contextmanager
    def load(self, name: str, changes_a_second: float = CHANGES_A_SECOND) -> Iterator[Outcome]:
        """Make load on task-api while the context lasts, and tell what came of it.

        The services are whole when it begins and, unless the body fails, when it ends.

        Args:
            name: starts the titles of its tasks, and names its row of the report; no two loads of
                a run share one.
        """
        outcome = Outcome()
        wanted = {"urls": [f"http://{TASK_API}"], "changes_a_second": changes_a_second}
        self._namespace.wait_until_whole()
        self._ask("POST", "/load", {"name": name, **wanted})
        try:
            time.sleep(STEADY_SECONDS)
            yield outcome
            self._namespace.wait_until_whole()
            time.sleep(STEADY_SECONDS)
        finally:
            told = self._ask("DELETE", "/load")
        work = Work.of_json(name, told)
        self._works.append(work)
        found = self._settled([work])
        outcome.failed = [each.why for each in work.failed]
        outcome.broken = [f"{column}: {each}" for column in COLUMNS for each in found[column]]
        outcome.broken += work.surprises + self._new_letters()
        outcome.figures = Figures(
            name=name,
            requests=len(work.latencies),
            failed=len(work.failed),
            found={column: len(each) for column, each in found.items()},
            unexpected=len(outcome.broken) - sum(map(len, found.values())),
            requests_a_second=len(work.latencies) / work.seconds,
            p99_seconds=quantile(work.latencies, 0.99) if work.latencies else 0.0,
            longest_delay_seconds=self._ask("GET", "/longest-delay"),
            longest_notification_seconds=longest_notification(self._history([work])),
            longest_gap_seconds=work.longest_gap(),
            failing_seconds=work.failing_for(),
        )
        self._report.add(outcome.figures)

    def broken_in_the_end(self) -> list[str]:
        """Check all loads once more, by all that there is to see when nothing comes any more."""
        time.sleep(LATE_SECONDS if self._works else 0)
        found = self._settled(self._works)
        broken = [f"{column}: {each}" for column in COLUMNS for each in found[column]]
        broken += [
            f"{task_id} is deleted, announced, and still has a key in the store"
            for task_id, task in self._history(self._works).stored.items()
            if task.deleted
        ]
        listed = {each.id for each in self._seen.listed}
        broken += [
            f"notification {id}: delivered and not listed"
            for id in self._seen.delivered
            if id not in listed
        ]
        return broken + self._new_letters()

    def _objects(self) -> list[Json]:
        """Return the probe's objects, with the image and the pull secrets of task-api."""
        objects = list(yaml.safe_load_all((HERE / "probe.yaml").read_text()))
        of_kind = {each["kind"]: each for each in objects}
        files = {"inside.py": HERE / "inside.py"}
        files |= {f"faults/{name}.py": ROOT / "faults" / f"{name}.py" for name in inside.MODULES}
        # A key has no slash, so the volume gives each its place.
        keys = {path: path.replace("/", ".") for path in files}
        of_kind["ConfigMap"]["data"] = {keys[path]: files[path].read_text() for path in files}
        of_kind["Secret"]["stringData"] = {"token": secrets.token_hex(16)}
        pod = of_kind["Deployment"]["spec"]["template"]["spec"]
        pod["volumes"][0]["configMap"]["items"] = [
            {"key": key, "path": path} for path, key in keys.items()
        ]
        like = self._namespace.get("deployment", TASK_API)["spec"]["template"]["spec"]
        (of_task_api,) = (each for each in like["containers"] if each["name"] == TASK_API)
        pod["imagePullSecrets"] = like.get("imagePullSecrets", [])
        pod["containers"][0] |= {
            name: of_task_api[name] for name in ("image", "imagePullPolicy") if name in of_task_api
        }
        return objects

    def _ask(self, method: str, path: str, body: Json = None) -> Json:
        answer = self.container.ask(method, f"{PROBE_URL}{path}", body)
        if answer.status >= 300:
            raise AssertionError(
                f"The probe answered {method} {path} with {answer.status}: {answer.body}\n"
                f"{self._namespace.kubectl('logs', 'deployment/probe', '--container=probe')}"
            )
        return answer.json() if answer.body else None

    def _settled(self, works: Sequence[Work]) -> dict[str, list[str]]:
        """Wait until all that was stored is announced and notified, and return what is wrong."""
        deadline = time.monotonic() + SETTLES_WITHIN_SECONDS
        while True:
            self._look()
            found = check(self._history(works)).found
            if not (found["unannounced"] or found["not_notified"]) or time.monotonic() > deadline:
                return found
            time.sleep(1)

    def _look(self) -> None:
        """See what is in the store, what was announced and what was notified by now."""
        keys = [key for key in self._namespace.redis(f"KEYS {DOCUMENTS}*") if key]
        values = self._namespace.redis(*(f"HGET {key} data" for key in keys))
        tasks = {
            key.removeprefix(DOCUMENTS): stored_task(value)
            for key, value in zip(keys, values, strict=True)
        }
        self._seen.stored = {id: task for id, task in tasks.items() if task}
        self._receive()
        # The logs first: what was delivered by then is listed by now.
        self._seen.delivered = list(logged_deliveries(self._logs))
        self._seen.listed = [Notification(**each) for each in self._ask("GET", "/notifications")]

    def _receive(self) -> None:
        for each in self._ask("GET", f"/received?from={len(self._seen.received)}"):
            self._seen.received.append(Announcement(each["id"], Change(**each["change"])))

    def _history(self, works: Sequence[Work]) -> History:
        """Return what was seen of the tasks of some loads, which their titles tell."""

        def of_these(text: str) -> bool:
            return any(work.made(text) for work in works)

        listed = [each for each in self._seen.listed if of_these(each.message)]
        ids = {each.id for each in listed}
        return History(
            acknowledged=[each.change for work in works for each in work.acknowledged],
            deleted={task_id for work in works for task_id in work.deleted},
            stored={
                task_id: task
                for task_id, task in self._seen.stored.items()
                if any(of_these(change.title) for change in task.changes)
            },
            received=[each for each in self._seen.received if of_these(each.change.title)],
            listed=listed,
            delivered=[id for id in self._seen.delivered if id in ids],
        )

    def _new_letters(self) -> list[str]:
        letters = set(self._ask("GET", "/dead-letters"))
        fresh = sorted(letters - self._letters)
        self._letters |= letters
        return fresh
