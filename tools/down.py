"""Stops the system that `make up` started: `make down`."""

import sys

import psutil

from tools import processes
from tools.local_system import LocalSystem
from tools.up import pid_file

# It waits itself for what it stops.
SUPERVISOR_SECONDS = 60


def main() -> None:
    print("Stopped." if stop(LocalSystem.in_repository()) else "Nothing was running.")


def stop(system: LocalSystem) -> bool:
    """Stop a system that another process runs, or has left behind; return whether one ran."""
    try:
        supervisors = _supervisors(system)
        processes.stop(supervisors, SUPERVISOR_SECONDS)
        # A supervisor that was killed could not stop what it had started.
        left = system.left_behind()
        processes.stop(left)
    except psutil.AccessDenied as error:
        sys.exit(f"Process {error.pid} belongs to another user: stop it as that user.")
    pid_file(system).unlink(missing_ok=True)
    return bool(supervisors or left)


def _supervisors(system: LocalSystem) -> list[psutil.Process]:
    try:
        process = psutil.Process(int(pid_file(system).read_text()))
        return [process] if "tools.up" in " ".join(process.cmdline()) else []
    except (OSError, ValueError, psutil.Error):
        return []


if __name__ == "__main__":
    main()
