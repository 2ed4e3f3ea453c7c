"""Which ports a system listens on, and who listens on a port."""

import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

HERE = "127.0.0.1"
# Below Linux's range for outgoing connections, so that none of those takes one of them.
TEST_PORTS = range(20000, 32000)

REDIS_PORT = 6379
SCHEDULER_PORTS = {"scheduler": 50006, "health": 50007, "etcd": 50008, "etcd_peer": 50009}
APP_PORTS = ("appPort", "daprHTTPPort", "daprGRPCPort", "daprInternalGRPCPort", "metricsPort")


@dataclass(frozen=True)
class Ports:
    redis: int
    scheduler: dict[str, int]
    apps: dict[str, dict[str, int]]
    """By app-id, then by the name that the port has in dapr.yaml."""

    @classmethod
    def of_run_file(cls, run_file: dict[str, Any]) -> "Ports":
        apps = {app["appID"]: {name: app[name] for name in APP_PORTS} for app in run_file["apps"]}
        return cls(REDIS_PORT, dict(SCHEDULER_PORTS), apps)

    @classmethod
    def free(cls, run_file: dict[str, Any]) -> "Ports":
        """Return ports that nobody listens on, of a range that no outgoing connection uses."""
        free = free_ports()
        return cls(
            next(free),
            {name: next(free) for name in SCHEDULER_PORTS},
            {app["appID"]: {name: next(free) for name in APP_PORTS} for app in run_file["apps"]},
        )

    def users(self) -> Iterator[tuple[int, str]]:
        """Yield each port and what listens there."""
        yield self.redis, "Redis"
        for name, port in self.scheduler.items():
            yield port, f"the Dapr scheduler ({name})"
        for app_id, ports in self.apps.items():
            for name, port in ports.items():
                yield port, f"{app_id} ({name})"


def free_ports() -> Iterator[int]:
    """Yield ports that nobody listens on, of a range that no outgoing connection uses."""
    candidates = random.sample(TEST_PORTS, len(TEST_PORTS))
    return (port for port in candidates if not listens(port))


def listens(port: int) -> bool:
    """Return whether somebody takes connections on `port` of this machine."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HERE, port)) == 0


def listener(port: int) -> psutil.Process:
    """Return the process that listens on `port`."""
    # One process after the other: macOS lets only root look at all of them at once.
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                listens = connection.status == psutil.CONN_LISTEN
                if listens and connection.laddr and connection.laddr.port == port:
                    return process
    raise LookupError(f"nobody listens on port {port}")


def name_of_listener(port: int) -> str:
    """Return the name and number of the process that listens on `port`, as far as one may know."""
    try:
        process = listener(port)
        return f"{process.name()} (process {process.pid})"
    except (LookupError, psutil.Error):
        return "another program"
