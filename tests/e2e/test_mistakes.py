"""Mistakes that only show when something is started: the start ends at once, and says why."""

import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.mistakes import TOLD_BY_WHAT_ENDS
from tools.local_system import CannotStart, LocalSystem
from tools.tokens import SECRETS

Edit = Callable[[LocalSystem], None]

CACHE = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: cache
spec:
  type: state.redi
  version: v1
scopes:
  - task-api
"""


@pytest.fixture
def to_be_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSystem]:
    """A system that was not started, whose state is the current folder."""
    monkeypatch.chdir(tmp_path)
    system = LocalSystem.for_test(tmp_path)
    yield system
    system.stop()


def _an_unknown_type(system: LocalSystem) -> None:
    (system.state / "components" / "cache.yaml").write_text(CACHE)


def _a_wrong_address(system: LocalSystem) -> None:
    path = system.state / "components" / "statestore.yaml"
    path.write_text(path.read_text().replace(f":{system.ports.redis}", ":6399"))


def _a_wrong_file_of_tokens(system: LocalSystem) -> None:
    (system.state / SECRETS).write_text("app-api-token: x")


def _runs(*command: str) -> Edit:
    def edit(system: LocalSystem) -> None:
        path = system.state / "dapr.yaml"
        content: dict[str, Any] = yaml.safe_load(path.read_text())
        content["apps"][0]["command"] = list(command)
        path.write_text(yaml.safe_dump(content))

    return edit


EDITS: dict[str, Edit] = {
    "a type that this sidecar does not have": _an_unknown_type,
    "a wrong address": _a_wrong_address,
    "a service that fails at import": _runs(sys.executable, "-c", "import fastapy"),
    "a service that is not installed": _runs("task-ap"),
    "a file of tokens that was edited": _a_wrong_file_of_tokens,
}
FROM_OUTSIDE = {"a port that is taken", "`LOG_LEVEL=trace` in the shell"}


def test_the_table_has_the_mistakes_that_are_made_here() -> None:
    assert {*EDITS, *FROM_OUTSIDE} == set(TOLD_BY_WHAT_ENDS)


@pytest.mark.parametrize("mistake", EDITS)
def test_a_mistake_gets_its_line_of_the_table(to_be_broken: LocalSystem, mistake: str) -> None:
    EDITS[mistake](to_be_broken)
    assert _said_at_start(to_be_broken) == TOLD_BY_WHAT_ENDS[mistake]


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("statestore.yaml", "name: statestore", "name: statestor", "there is statestor"),
        (
            "subscription-task-changes.yaml",
            "/events/task-changes",
            "/events/task-change",
            "one delivers to /events/task-change",
        ),
    ],
)
def test_a_service_says_itself_what_its_sidecar_lacks(
    to_be_broken: LocalSystem,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    before: str,
    after: str,
    said: str,
) -> None:
    """As on a cluster, where nobody looks at files."""
    path = to_be_broken.state / "components" / file
    path.write_text(path.read_text().replace(before, after))
    monkeypatch.setattr(LocalSystem, "refuse_mistakes", lambda system: None)
    answer = _said_at_start(to_be_broken)
    assert answer.startswith("task-api needs ")
    assert said in answer


def test_a_wrong_variable_is_named(
    to_be_broken: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "trace")
    said = _said_at_start(to_be_broken).splitlines()[0]
    assert said == TOLD_BY_WHAT_ENDS["`LOG_LEVEL=trace` in the shell"]


def test_a_taken_port_is_named(to_be_broken: LocalSystem) -> None:
    port = to_be_broken.ports.apps["task-api"]["appPort"]
    with ExitStack() as stack:
        stack.enter_context(socket.create_server(("127.0.0.1", port)))
        said = _said_at_start(to_be_broken)
    said = re.sub(r"by .* \(process \d+\)", "by python (process 4711)", said)
    assert said.replace(str(port), "8000") == TOLD_BY_WHAT_ENDS["a port that is taken"]


def _said_at_start(system: LocalSystem) -> str:
    began = time.monotonic()
    with pytest.raises(CannotStart) as failure, system:
        pass
    assert time.monotonic() - began < 15  # not the minute and a half of a start that hangs
    assert system.left_behind() == []
    return str(failure.value).replace(f"{system.state}/", ".local/")
