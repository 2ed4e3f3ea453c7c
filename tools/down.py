"""Stops the system that `make up` started: `make down`."""

import sys
from pathlib import Path

import psutil

from tools import processes
from tools.local_system import STATE, left_behind
from tools.up import pid_file

# It waits itself for what it stops.
SUPERVISOR_SECONDS = 60


def main() -> None:
    print("Stopped." if stop(STATE) else "Nothing was running.")


def stop(state: Path) -> bool:
    """Stop the system with this state, whoever runs it or left it; return whether one ran."""
    try:
        supervisors = _supervisors(state)
        processes.stop(supervisors, SUPERVISOR_SECONDS)
        # A supervisor that was killed could not stop what it had started.
        left = left_behind(state)
        processes.stop(left)
    except psutil.AccessDenied as error:
        sys.exit(f"Process {error.pid} belongs to another user: stop it as that user.")
    pid_file(state).unlink(missing_ok=True)
    return bool(supervisors or left)


def _supervisors(state: Path) -> list[psutil.Process]:
    try:
        process = psutil.Process(int(pid_file(state).read_text()))
        return [process] if "tools.up" in " ".join(process.cmdline()) else []
    except (OSError, ValueError, psutil.Error):
        return []


if __name__ == "__main__":
    main()
