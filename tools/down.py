"""Stops the system that `make up` started: `make down`."""

import sys

import psutil

from tools.local_system import LocalSystem
from tools.up import pid_file

STOP_SECONDS = 60


def main() -> None:
    system = LocalSystem.in_repository()
    stopped = [_stop(process) for process in _supervisors(system)]
    # A supervisor that was killed could not stop what it had started.
    stopped += [_stop(process) for process in system.left_behind()]
    pid_file(system).unlink(missing_ok=True)
    print("Stopped." if any(stopped) else "Nothing was running.")


def _supervisors(system: LocalSystem) -> list[psutil.Process]:
    try:
        process = psutil.Process(int(pid_file(system).read_text()))
        return [process] if "tools.up" in process.cmdline() else []
    except (OSError, ValueError, psutil.Error):
        return []


def _stop(process: psutil.Process) -> bool:
    try:
        process.terminate()
        process.wait(STOP_SECONDS)
    except psutil.NoSuchProcess:
        return False
    except psutil.TimeoutExpired:
        process.kill()
    except psutil.AccessDenied:
        sys.exit(f"Process {process.pid} belongs to another user: stop it as that user.")
    return True


if __name__ == "__main__":
    main()
