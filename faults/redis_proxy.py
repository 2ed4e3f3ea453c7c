"""The way from the sidecars to Redis, which can be cut and slowed: toxiproxy."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

from tools import parts
from tools.local_system import LocalSystem
from tools.ports import free_ports

READY_WITHIN_SECONDS = 10
BOTH_WAYS = ("upstream", "downstream")


class RedisProxy:
    """Listens on `port` and passes everything on to a system's Redis."""

    def __init__(self) -> None:
        ports = free_ports()
        self.port, self._admin_port = next(ports), next(ports)

    def start(self, system: LocalSystem) -> None:
        program = [str(parts.toxiproxy()), "-host", "127.0.0.1", "-port", str(self._admin_port)]
        system.run_beside("toxiproxy", program)
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        wanted = {
            "name": "redis",
            "listen": f"127.0.0.1:{self.port}",
            "upstream": f"127.0.0.1:{system.ports.redis}",
        }
        while True:
            try:
                self._ask("POST", "/proxies", wanted)
                return
            except urllib.error.HTTPError:
                raise
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def refuse_connections(self) -> None:
        """End all connections and take no new ones."""
        self._ask("POST", "/proxies/redis", {"enabled": False})

    def drop(self, *directions: str) -> None:
        """Lose what is sent, and tell nobody: `upstream` the commands, `downstream` the answers."""
        for direction in directions:
            self._poison(direction, "timeout", {"timeout": 0})

    def delay(self, milliseconds: int) -> None:
        """Hold back every answer of Redis."""
        self._poison("downstream", "latency", {"latency": milliseconds})

    def mend(self) -> None:
        """Be as at the start; connections that lost something end."""
        self._ask("POST", "/reset", {})

    def _poison(self, direction: str, kind: str, attributes: dict[str, int]) -> None:
        self._ask(
            "POST",
            "/proxies/redis/toxics",
            {"name": direction, "type": kind, "stream": direction, "attributes": attributes},
        )

    def _ask(self, method: str, path: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._admin_port}{path}",
            method=method,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5):
            pass
