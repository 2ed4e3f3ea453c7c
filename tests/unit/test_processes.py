"""How a program ended is told, and one that nobody asks about any more is not waited for."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import processes
from tools.processes import End, Part, Recipe, last_error

# Starts a program, says its number, and never asks how it ended.
ASKS_NOBODY = """
import subprocess, sys, time
print(subprocess.Popen(["sleep", "100"]).pid, flush=True)
time.sleep(100)
"""
TRACEBACK = """Traceback (most recent call last):
  File "main.py", line 1, in <module>
    import fastapy
ModuleNotFoundError: No module named 'fastapy'
"""
FATAL = r'time="2026-11-25" level=fatal msg="no \"statestore\"" app_id=task-api scope=dapr.runtime'
INFO = 'time="2026-11-25" level=info msg="stopping" app_id=task-api scope=dapr.runtime'
UVICORN = "2026-11-25T21:07:09Z [error    ] [Errno 98] address already in use"


def _part(folder: Path, *command: str) -> Part:
    return Part(Recipe("part", command, {}, folder, folder / "logs" / "part.log"))


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (TRACEBACK, "ModuleNotFoundError: No module named 'fastapy'"),
        (f"{FATAL}\n{INFO}\n", 'no "statestore"'),
        (f"{UVICORN}\n", "[Errno 98] address already in use"),
        ("# Server started\n# Failed listening on port 6379, aborting.\n\n", None),
        ("", "it said nothing"),
    ],
)
def test_the_line_that_says_why_is_found(log: str, said: str | None) -> None:
    assert last_error(log) == (said or log.strip().splitlines()[-1])


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"]))))
def test_whatever_a_program_wrote_one_line_is_said_of_it(lines: Sequence[str]) -> None:
    assert len(last_error("\n".join(lines)).splitlines()) == 1


@pytest.mark.parametrize(
    ("code", "how"),
    [("raise SystemExit(3)", "exit code 3"), ("import os; os.kill(os.getpid(), 9)", "SIGKILL")],
)
def test_how_a_program_ended_is_told(tmp_path: Path, code: str, how: str) -> None:
    assert how in _part(tmp_path, sys.executable, "-c", code).end().how


def test_what_an_earlier_start_wrote_is_not_taken_for_the_reason(tmp_path: Path) -> None:
    _part(tmp_path, sys.executable, "-c", "import fastapy").end()
    assert _part(tmp_path, sys.executable, "-c", "").end() == End("exit code 0", "it said nothing")


def test_a_program_whose_parent_asks_nobody_is_not_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", ASKS_NOBODY], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        began = time.monotonic()
        processes.stop([child])
        assert time.monotonic() - began < processes.STOP_SECONDS
        assert child.status() == psutil.STATUS_ZOMBIE
        parent.kill()


def test_a_program_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    ignores = "import signal, time; signal.signal(15, 1); print('up', flush=True); time.sleep(99)"
    part = _part(tmp_path, sys.executable, "-c", ignores)
    while not part.recipe.log.read_text():
        time.sleep(0.01)
    processes.stop([part.process], seconds=0.1)
    assert part.end().how == "killed by SIGKILL"
