"""A subscriber of the campaign's own, beside a sidecar of its own: hears what is announced.

It reaches Redis directly, so no fault on the way to Redis keeps anything from it for good.
"""

import asyncio
import time
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from faults.receiver import Receiver
from tools import parts
from tools.local_system import LocalSystem
from tools.ports import free_ports

APP_ID = "probe"
TOPIC = "task-events"
READY_WITHIN_SECONDS = 30


class Probe(Receiver):
    """Receives `task-events` from before the load begins; an asynchronous context manager."""

    def __init__(self, system: LocalSystem) -> None:
        super().__init__()
        self._system = system
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "Probe":
        ports = free_ports()
        app_port, http, grpc, internal = (next(ports) for _ in range(4))
        self._runner = web.AppRunner(self.application(), access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", app_port).start()
        state = self._system.state
        command = [
            *(str(parts.daprd()), "--app-id", APP_ID, "--app-port", str(app_port)),
            *("--dapr-http-port", str(http), "--dapr-grpc-port", str(grpc)),
            *("--dapr-internal-grpc-port", str(internal), "--enable-metrics=false"),
            *("--dapr-listen-addresses", "127.0.0.1"),
            *("--dapr-internal-grpc-listen-address", "127.0.0.1"),
            *("--resources-path", str(self._resources())),
            *("--config", str(state / "dapr-config.yaml"), "--log-level", "warn"),
        ]
        self._system.run_beside(APP_ID, command)
        await self._until_ready(f"http://127.0.0.1:{http}/v1.0/metadata")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    def _resources(self) -> Path:
        """Write the probe's components: the system's `pubsub`, opened to the probe."""
        folder = self._system.state / "probe"
        folder.mkdir(exist_ok=True)
        rendered = self._system.state / "components"
        pubsub = yaml.safe_load((rendered / "pubsub.yaml").read_text())
        pubsub["scopes"] = [APP_ID]
        changed = {
            "redisHost": f"127.0.0.1:{self._system.ports.redis}",
            "publishingScopes": f"{APP_ID}=",
            "subscriptionScopes": f"{APP_ID}={TOPIC}",
        }
        for entry in pubsub["spec"]["metadata"]:
            entry["value"] = changed.get(entry["name"], entry["value"])
        subscription = {
            "apiVersion": "dapr.io/v2alpha1",
            "kind": "Subscription",
            "metadata": {"name": APP_ID},
            "spec": {"pubsubname": "pubsub", "topic": TOPIC, "routes": {"default": "/events"}},
        }
        # Without it the sidecar acknowledges what the probe failed to take.
        retries = {
            "apiVersion": "dapr.io/v1alpha1",
            "kind": "Resiliency",
            "metadata": {"name": APP_ID},
            "spec": {
                "policies": {
                    "retries": {
                        "always": {"policy": "constant", "duration": "1s", "maxRetries": -1}
                    }
                },
                "targets": {"components": {"pubsub": {"inbound": {"retry": "always"}}}},
            },
        }
        for name, resource in (
            ("pubsub", pubsub),
            ("subscription", subscription),
            ("resiliency", retries),
        ):
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(resource))
        return folder

    async def _until_ready(self, metadata_url: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < deadline:
                try:
                    async with session.get(metadata_url) as answer:
                        if (await answer.json()).get("subscriptions"):
                            return
                except (aiohttp.ClientError, ValueError):
                    pass
                await asyncio.sleep(0.1)
        raise TimeoutError(
            f"The probe's sidecar is not ready after {READY_WITHIN_SECONDS} s;"
            f" {self._system.log(APP_ID)} says why."
        )
