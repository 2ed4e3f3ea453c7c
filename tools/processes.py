"""Programs that run as parts of a system: how they are started, watched and stopped."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

STOP_SECONDS = 15
_LOOK_SECONDS = 0.02

# What a program says before it ends, the most telling first: Dapr's programs, Python, our services.
_LAST_WORDS = (
    re.compile(r'level=fatal msg="((?:[^"\\]|\\.)*)"'),
    re.compile(r"^((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b.*)$"),
    re.compile(r'level=error msg="((?:[^"\\]|\\.)*)"'),
    re.compile(r"\[(?:error|critical) *\] (.*)$"),
)


class End(NamedTuple):
    """How a program ended."""

    how: str
    words: str
    """The last error that it wrote; nothing where it was killed, and so had no last word."""


@dataclass(frozen=True)
class Recipe:
    """What a part is started with, as often as needed."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path


class Part:
    """A running program of a system."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.started = time.monotonic()
        recipe.log.parent.mkdir(parents=True, exist_ok=True)
        with recipe.log.open("ab") as output:
            self._log_begins = output.tell()
            self.process = psutil.Popen(
                recipe.command,
                env=recipe.environment,
                cwd=recipe.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is for this process alone
            )

    @property
    def name(self) -> str:
        return self.recipe.name

    def has_ended(self) -> bool:
        return not runs(self.process)

    def end(self) -> "End":
        """Return how the program ended; wait for that if need be."""
        code = self.process.wait(STOP_SECONDS)
        if code < 0:
            return End(f"killed by {signal.Signals(-code).name}", "")
        with self.recipe.log.open("rb") as log:
            log.seek(self._log_begins)
            return End(f"exit code {code}", last_error(log.read().decode(errors="replace")))


def last_error(log: str) -> str:
    """Return the line of a log that says best why the program ended, without time and level."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for words in _LAST_WORDS:
        for line in reversed(lines):
            if found := words.search(line):
                return found[1].replace('\\"', '"').replace("\\n", " ")
    return lines[-1] if lines else "it said nothing"


def shown(path: Path) -> str:
    """Return a path as one would type it here."""
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def stop(processes: Sequence[psutil.Process], seconds: float = STOP_SECONDS) -> None:
    """Stop processes, and wait for all that they started: politely, and then by force.

    Args:
        seconds: after which what still runs is killed.

    Raises:
        psutil.AccessDenied: one belongs to another user.
    """
    everything = list(dict.fromkeys(each for one in processes for each in _tree(one)))
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    alive = _still_running(everything, seconds)
    for each in alive:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    _still_running(alive, seconds)


def runs(process: psutil.Process) -> bool:
    """Return whether a process does something yet.

    One that ended and that its parent has not asked about does not: in containers nobody may ask.
    """
    if isinstance(process, psutil.Popen):
        return process.poll() is None
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def with_mark(name: str, value: str) -> list[psutil.Process]:
    """Return the running processes with an environment variable, whoever started them."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(name) == value:
                found.append(process)
    return found


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _still_running(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until all have ended; return those that have not."""
    deadline = time.monotonic() + seconds
    while (alive := [each for each in processes if runs(each)]) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    return alive
