"""Runs the whole system in this repository until Ctrl-C: `make up`."""

import os
import signal
import sys
import time
from pathlib import Path

from tools.local_system import CannotStart, LocalSystem
from tools.parts import PartMissing


def pid_file(system: LocalSystem) -> Path:
    return system.state / "up.pid"


def main() -> None:
    # SIGINT too: a shell without job control starts background jobs with it ignored.
    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, signal.default_int_handler)
    system = LocalSystem.in_repository()
    began = time.monotonic()
    try:
        system.start(progress=lambda line: print(f"  {line}", flush=True))
        pid_file(system).write_text(str(os.getpid()))
        print(_where_to_go(system, time.monotonic() - began), flush=True)
        while not (ended := system.ended()):
            time.sleep(0.5)
        sys.exit(f"{ended} ended; the end of {system.log(ended)} says why.")
    except (CannotStart, PartMissing) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("\nStopping …", flush=True)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C does not end the stopping
        system.stop()
        if pid_file(system).exists() and pid_file(system).read_text() == str(os.getpid()):
            pid_file(system).unlink()
    print("Stopped. Tasks and notifications are kept in .local; `make up` brings them back.")


def _where_to_go(system: LocalSystem, seconds: float) -> str:
    tasks, notifications = system.url("task-api"), system.url("notification-service")
    return f"""
Ready in {seconds:.0f} s.

  tasks           {tasks}/tasks
  notifications   {notifications}/notifications
  try them out    {tasks}/docs and {notifications}/docs
  logs            {system.log("dapr")}

Ctrl-C, or `make down` elsewhere, stops everything."""


if __name__ == "__main__":
    main()
