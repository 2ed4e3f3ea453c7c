"""Mistakes made on purpose: `make up` says what is wrong before it starts anything.

docs/mistakes.md lists them with the line that each gets; so do these tests.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mistakes import TOLD_AT_ONCE
from tools.local_system import ROOT
from tools.resources.mistakes import mistakes_of

Edit = Callable[[Path], None]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what `make up` reads, as the current folder."""
    shutil.copytree(ROOT / "components", tmp_path / "components")
    for name in ("dapr.yaml", "dapr-config.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "secrets.json").write_text('{"app-api-token": "x"}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _replaces(file: str, before: str, after: str) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    return edit


def _removes(file: str) -> Edit:
    return lambda folder: (folder / file).unlink()


def _copies(file: str, other: str) -> Edit:
    def edit(folder: Path) -> None:
        shutil.copy(folder / file, folder / other)

    return edit


CHANGES = "components/subscription-task-changes.yaml"
EVENTS = "components/subscription-task-events-to-task-api.yaml"
BULK = """  bulkSubscribe:
    enabled: true
    maxMessagesCount: 64
    maxAwaitDurationMs: 10
"""

EDITS: dict[str, Edit] = {
    "a typo in a topic": _replaces(EVENTS, "topic: task-events\n", "topic: task-event\n"),
    "a typo in a route": _replaces(CHANGES, "/events/task-changes", "/events/task-change"),
    "`pubsub` renamed in a subscription": _replaces(EVENTS, ": pubsub\n", ": events\n"),
    "`pubsub` renamed in its file": _replaces(
        "components/pubsub.yaml", "name: pubsub\n", "name: events\n"
    ),
    "YAML that is none": _replaces("components/pubsub.yaml", "spec:\n", "spec\n"),
    "a topic missing from the publishing scopes": _replaces(
        "components/pubsub.yaml", "task-api=task-events,task-events-dead;", "task-api=task-events;"
    ),
    "no `bulkSubscribe`": _replaces(CHANGES, BULK, ""),
    "`rawPayload` without quotes": _replaces(CHANGES, '"true"', "true"),
    "a typo in a component's name": _replaces(
        "components/statestore.yaml", "name: statestore", "name: statestor"
    ),
    "an app missing from a component's scopes": _replaces(
        "components/statestore.yaml", "  - task-api\n", ""
    ),
    "a component's file missing": _removes("components/secretstore.yaml"),
    "a subscription without scopes": _replaces(
        "components/subscription-task-events-dead.yaml", "scopes:\n  - notification-service\n", ""
    ),
    "a copy of a component left in the folder": _copies(
        "components/statestore.yaml", "components/statestore-old.yaml"
    ),
    "a category that no type has": _replaces(
        "components/statestore.yaml", "state.redis", "redis.state"
    ),
    "a value of a form that is not read": _replaces("components/pubsub.yaml", '"5000"', "5s"),
    "a typo in the name of a value": _replaces(
        "components/pubsub.yaml", "maxLenApprox", "maxLengthApprox"
    ),
    "a typo in a field": _replaces(EVENTS, "deadLetterTopic", "deadletterTopic"),
    "no dead-letter topic": _replaces(EVENTS, "  deadLetterTopic: task-events-dead\n", ""),
    "a secret from no store": _replaces(
        "components/statestore.yaml", 'value: ""', "secretKeyRef: {name: redis, key: redis}"
    ),
    "another secrets file": _replaces("components/secretstore.yaml", "secrets.json", "secret.json"),
    "no token in the secrets file": lambda folder: _write(folder / ".local/secrets.json", "{}"),
    "a policy for what is not there": _replaces(
        "components/resiliency.yaml", "      changelog:\n", "      changelogs:\n"
    ),
    "one port twice in dapr.yaml": _replaces("dapr.yaml", "appPort: 8001", "appPort: 8000"),
    "a typo in dapr.yaml": _replaces("dapr.yaml", "appPort: 8001", "appport: 8001"),
}


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def test_there_is_no_mistake_in_this_repository(files: Path) -> None:
    assert mistakes_of(files / "dapr.yaml") == []


def test_the_table_has_the_mistakes_that_are_made_here() -> None:
    assert set(EDITS) == set(TOLD_AT_ONCE)


@pytest.mark.parametrize("mistake", EDITS)
def test_a_mistake_gets_its_line_of_the_table(files: Path, mistake: str) -> None:
    EDITS[mistake](files)
    assert mistakes_of(files / "dapr.yaml")[0] == TOLD_AT_ONCE[mistake]
