"""Stops the system that `make up` started: `make down`."""

import sys
from pathlib import Path

import psutil

from tools import processes
from tools.local_system import STATE, left_behind
from tools.up import pid_file, supervisor

# It waits itself for what it stops.
SUPERVISOR_SECONDS = 60


def main() -> None:
    print("Stopped." if stop(STATE) else "Nothing was running.")


def stop(state: Path) -> bool:
    """Stop the system with this state, whoever runs it or left it; return whether one ran."""
    try:
        supervisors = [process] if (process := supervisor(state)) else []
        processes.stop(supervisors, SUPERVISOR_SECONDS)
        # A supervisor that was killed could not stop what it had started.
        left = left_behind(state)
        processes.stop(left)
    except psutil.AccessDenied as error:
        sys.exit(f"Process {error.pid} belongs to another user: stop it as that user.")
    pid_file(state).unlink(missing_ok=True)
    return bool(supervisors or left)


if __name__ == "__main__":
    main()
