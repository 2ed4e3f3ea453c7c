"""What dapr.yaml does not say: Redis, and Dapr's scheduler."""

import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tools.ports import HERE, listens
from tools.readiness import NotReady


def redis(program: Path, port: int, folder: Path) -> list[str]:
    """Return how to start Redis on the data in a folder."""
    return [
        *(str(program), "--port", str(port), "--bind", HERE, "--dir", str(folder)),
        *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
        *("--set-proc-title", "no"),  # the title would overwrite the environment
    ]


def redis_not_ready(port: int) -> NotReady | None:
    """Return why Redis does not take commands, or None where it does."""
    with suppress(OSError), socket.create_connection((HERE, port), 1) as peer:
        peer.sendall(b"PING\r\n")
        answer = peer.recv(200)
        if answer.startswith(b"+PONG"):
            return None
        return NotReady(answer.decode(errors="replace").strip())  # it loads its data
    return NotReady(f"nobody answers on port {port}")


def scheduler(program: Path, ports: Mapping[str, int], folder: Path) -> list[str]:
    """Return how to start the scheduler on the data in a folder."""
    return [
        *(str(program), "--mode", "standalone", "--enable-metrics=false"),
        *("--listen-address", HERE, "--port", str(ports["scheduler"])),
        *("--healthz-listen-address", HERE, "--healthz-port", str(ports["health"])),
        *("--etcd-data-dir", str(folder)),
        *("--etcd-client-listen-address", HERE, "--etcd-client-port", str(ports["etcd"])),
        "--etcd-initial-cluster",
        f"dapr-scheduler-server-0=http://{HERE}:{ports['etcd_peer']}",
    ]


def scheduler_not_ready(port: int) -> NotReady | None:
    """Return that nobody takes connections on the scheduler's port, or None where it does."""
    return None if listens(port) else NotReady(f"nobody listens on port {port}")
