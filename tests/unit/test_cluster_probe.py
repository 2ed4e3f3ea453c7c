"""What the tests on a cluster do without one: the probe's program, its parts and the report."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from faults.history import COLUMNS, Change, History, Notification
from faults.load import Acknowledged, Failure
from tests.cluster import inside
from tests.cluster.cluster import Json, Namespace, merged
from tests.cluster.probe import Probe, Work, longest_notification
from tests.cluster.report import BEGIN, END, CannotReport, Figures, Report


def event(task_id: str, version: int) -> dict[str, Any]:
    names = ("title", "status", "assignee", "due_at", "timestamp")
    data: dict[str, Any] = dict.fromkeys(names, "") | {"event_type": "task.created", "priority": 1}
    data |= {"task_id": task_id, "version": version}
    return {"id": f"{task_id}:{version}", "source": "task-api", "data": data}


async def test_the_probe_tells_what_it_heard_from_a_place_on() -> None:
    runner = web.AppRunner(inside.Inside().application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with ClientSession() as session:
            for version in (1, 2):
                async with session.post(f"{url}/events", json=event("a", version)) as answer:
                    assert await answer.json() == {"status": "SUCCESS"}
            async with session.get(f"{url}/received", params={"from": "1"}) as answer:
                (second,) = await answer.json()
            async with session.delete(f"{url}/load") as answer:
                assert (answer.status, await answer.text()) == (409, "No load is running.")
    finally:
        await runner.cleanup()
    assert (second["id"], Change(**second["change"]).version) == ("a:2", 2)


class NamespaceWithTaskApi(Namespace):
    def get(self, *arguments: str) -> Json:
        assert arguments == ("deployment", "task-api")
        container = {"name": "task-api", "image": "r/task-api:1", "imagePullPolicy": "Never"}
        pod = {"containers": [container], "imagePullSecrets": [{"name": "pull"}]}
        return {"spec": {"template": {"spec": pod}}}

    def apply(self, *objects: Json) -> None:
        self.applied = {each["kind"]: each for each in objects}


def test_the_probe_runs_its_modules_on_the_image_of_task_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = NamespaceWithTaskApi("tasks")
    monkeypatch.setattr(
        namespace, "kubectl", lambda *_, **__: '[200, {}, "{\\"subscriptions\\": 1}"]'
    )
    Probe(namespace, tmp_path, Report()).deploy()
    pod = namespace.applied["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("r/task-api:1", "Never")
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    files = namespace.applied["ConfigMap"]["data"]
    items = pod["volumes"][0]["configMap"]["items"]
    assert {item["key"] for item in items} == set(files)
    assert {"inside.py", "faults/__init__.py", "faults/load.py"} <= {item["path"] for item in items}
    assert "class Load" in files["faults.load.py"]


def test_a_load_knows_its_tasks_by_their_titles() -> None:
    work = Work("kill of a pod")
    assert work.made("kill of a pod 7")
    assert work.made("kill of a pod 7.12")
    assert work.made("Task 'kill of a pod 7.1' has been completed")
    assert not work.made("kill of a pod of task-api 7")
    assert not work.made("another kill of a pod 7")


def test_a_load_tells_how_long_it_went_without_success_and_with_failures() -> None:
    change = Change("a", 1, "task.created", "", "", 1, None, None, "")
    work = Work(
        "kill",
        acknowledged=[Acknowledged(change, at, at) for at in (1.0, 2.0, 5.0)],
        deleted={"b": 4.5},
        failed=[Failure(2.5, 3.0, ""), Failure(2.0, 4.0, "")],
    )
    assert work.longest_gap() == 2.5
    assert work.failing_for() == 2.0
    assert (Work("kill").longest_gap(), Work("kill").failing_for()) == (0.0, 0.0)


def test_a_notification_is_as_late_as_it_comes_after_its_completion() -> None:
    moment = "2026-11-21T10:00:00.500000Z"
    history = History(
        acknowledged=[
            Change(id, 2, "task.completed", f"load {id}", "completed", 1, None, None, moment)
            for id in ("1", "2")
        ],
        listed=[
            Notification("n1", "1", "Task 'load 1' has been completed", "2026-11-21T10:00:01Z"),
            Notification("n2", "2", "Task 'load 2' has been completed", "2026-11-21T10:00:03Z"),
        ],
    )
    assert longest_notification(history) == 2.5


def test_values_are_laid_over_others() -> None:
    first = {"taskApi": {"replicas": 2, "env": {"a": "1"}}, "image": {"tag": "1"}}
    second = {"taskApi": {"env": {"b": "2"}}, "image": {"tag": "2"}}
    assert merged(first, second) == {
        "taskApi": {"replicas": 2, "env": {"a": "1", "b": "2"}},
        "image": {"tag": "2"},
    }


def test_the_figures_stand_between_the_markers_of_the_page(tmp_path: Path) -> None:
    found = {**dict.fromkeys(COLUMNS, 0), "lost": 3}
    report = Report()
    report.add(Figures("rollback", 1234, 2, found, 1, 98.7, 0.0256, 1.5, 1.75, 0.25, 0.5))
    report.note("A note.")
    page = tmp_path / "kubernetes.md"
    page.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nMore.\n")
    report.write(page, "a cluster")
    text = page.read_text()
    counts = " | ".join(["2", "3", *6 * ["0"], "1"])
    assert (
        f"| rollback | 1,234 | 99 | {counts} | 26 ms | 0.25 s | 0.50 s | 1.50 s | 1.75 s |" in text
    )
    assert "old" not in text
    assert text.startswith("# Title\n\n") and text.endswith(f"{END}\n\nMore.\n")
    assert "- A note." in text
    assert '"lost": 3' in (tmp_path / "kubernetes-figures.json").read_text()


def test_a_page_without_a_place_for_the_figures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CannotReport, match=r"has no place for the figures"):
        Report().write(tmp_path / "kubernetes.md", "a cluster")
