"""Runs the whole system in this repository until Ctrl-C: `make up`."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil

from tools.local_system import CannotStart, LocalSystem
from tools.parts import PartMissing
from tools.processes import Part, shown

LOOK_SECONDS = 0.2
PAUSE_SECONDS = 1
# What ends so soon after it was started again will not stay.
SOON_SECONDS = 30


def pid_file(state: Path) -> Path:
    return state / "up.pid"


def supervisor(state: Path) -> psutil.Process | None:
    """Return the `make up` that runs the system with this state, if there is one."""
    try:
        process = psutil.Process(int(pid_file(state).read_text()))
        return process if "tools.up" in " ".join(process.cmdline()) else None
    except (OSError, ValueError, psutil.Error):
        return None


def main() -> None:
    try:
        system = LocalSystem.in_repository()
    except CannotStart as error:
        sys.exit(str(error))
    sys.exit(0 if run(system) else 1)


def run(system: LocalSystem) -> bool:
    """Run a system until Ctrl-C or SIGTERM; return whether it ran until then."""
    # SIGINT too: a shell without job control starts background jobs with it ignored.
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted, signal.default_int_handler)
    began = time.monotonic()
    try:
        _write_pid(system)
    except CannotStart as error:
        _say(str(error))
        return False
    try:
        system.start(progress=lambda line: _say(f"  {line}"))
        _say(_where_to_go(system, time.monotonic() - began))
        keep_running(system)
    except (CannotStart, PartMissing) as error:
        _say(f"\n{error}\n")
        return False
    except KeyboardInterrupt:
        _say("\nStopping …")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C does not end the stopping
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        system.stop()
        _remove_pid(system)
        kept = shown(system.state)
        _say(f"Stopped. Tasks and notifications are kept in {kept}; `make up` brings them back.")
    return True


def keep_running(system: LocalSystem) -> None:
    """Say what ends and why, and start it again.

    Raises:
        CannotStart: something ended again soon after that.
    """
    started_again: dict[str, float] = {}
    while True:
        if ended := system.ended():
            why = system.why_ended(ended)
            if time.monotonic() - started_again.get(ended.name, -SOON_SECONDS) < SOON_SECONDS:
                raise CannotStart(f"{why}\nIt had just been started again.")
            _say(f"{why}\n  It is started again.")
            _start_again(system, ended)
            started_again[ended.name] = time.monotonic()
        time.sleep(LOOK_SECONDS)


def _start_again(system: LocalSystem, part: Part) -> None:
    time.sleep(PAUSE_SECONDS)
    system.start_again(part)
    _say(f"  {part.name} runs again.")


def _write_pid(system: LocalSystem) -> None:
    if other := supervisor(system.state):
        raise CannotStart(
            f"It runs already, started by process {other.pid}: `make down` stops that."
        )
    try:
        system.state.mkdir(parents=True, exist_ok=True)
        pid_file(system.state).write_text(str(os.getpid()))
    except OSError as error:
        raise CannotStart(f"{error}. Make {shown(system.state)} yours, or remove it.") from error


def _remove_pid(system: LocalSystem) -> None:
    if pid_file(system.state).exists() and pid_file(system.state).read_text() == str(os.getpid()):
        pid_file(system.state).unlink()


def _where_to_go(system: LocalSystem, seconds: float) -> str:
    tasks, notifications = system.url("task-api"), system.url("notification-service")
    return f"""
Ready in {seconds:.0f} s.

  tasks           {tasks}/tasks
  notifications   {notifications}/notifications
  try them out    {tasks}/docs and {notifications}/docs
  logs            {shown(system.log("task-api").parent)}

Ctrl-C, or `make down` elsewhere, stops everything."""


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
