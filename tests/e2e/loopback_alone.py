"""Runs the system and completes a task; started in a network namespace of its own."""

import fcntl
import socket
import struct
import sys
from pathlib import Path

from httpx2 import Client

from tests.contract.test_task_api_http import create
from tests.e2e.test_flow import complete, notified
from tests.eventually import eventually
from tools.local_system import LocalSystem

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def main() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
    with (
        LocalSystem.for_test(Path(sys.argv[1])) as system,
        Client(base_url=system.url("task-api")) as tasks,
        Client(base_url=system.url("notification-service")) as notifications,
    ):
        task = create(tasks)
        complete(tasks, task["id"])
        eventually(lambda: notified(notifications, task["id"]))


if __name__ == "__main__":
    main()
