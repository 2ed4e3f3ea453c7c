"""The program of the probe's pod: hears what is announced, makes load, and tells what came of it.

It runs inside the cluster, where Services are reachable, with the modules in MODULES beside it and
what the image of task-api has. `probe.py` runs it, and asks it on the pod's own 127.0.0.1.
"""

import asyncio
import time
from dataclasses import asdict
from typing import Any

import aiohttp
from aiohttp import web

from faults.load import Load
from faults.observations import dead_letters, listed_notifications
from faults.receiver import Receiver

MODULES = ("__init__", "history", "load", "observations", "receiver")
"""Of the package `faults`."""
PORT = 8080
NOTIFICATIONS = "http://notification-service"
PATIENCE_SECONDS = (12.0,)
"""A slow answer is no failure; the latencies show it."""


class Inside(Receiver):
    def __init__(self) -> None:
        super().__init__()
        self._load: Load | None = None
        self._running: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._began = 0.0

    def application(self) -> web.Application:
        application = super().application()
        application.router.add_post("/load", self._begin)
        application.router.add_delete("/load", self._end)
        application.router.add_get("/received", self._received)
        application.router.add_get("/longest-delay", self._longest_delay)
        application.router.add_get("/notifications", self._notifications)
        application.router.add_get("/dead-letters", self._dead_letters)
        return application

    async def _begin(self, request: web.Request) -> web.Response:
        if self._running and not self._running.done():
            raise web.HTTPConflict(text="A load is running.")
        wanted = await request.json()
        self._load = Load(**wanted, seed=wanted["name"], patience=PATIENCE_SECONDS)
        self._began = time.monotonic()
        self._stop.clear()
        self._running = asyncio.create_task(self._run(self._load))
        return web.Response(status=204)

    async def _run(self, load: Load) -> None:
        async with load:
            await self._stop.wait()

    async def _end(self, request: web.Request) -> web.Response:
        """Stop the load, and answer once every client knows what became of its last request."""
        if not self._running or not self._load:
            raise web.HTTPConflict(text="No load is running.")
        self._stop.set()
        seconds = time.monotonic() - self._began
        await self._running
        load = self._load
        return web.json_response(
            {
                "acknowledged": [asdict(each) for each in load.acknowledged],
                "deleted": load.deleted,
                "surprises": load.surprises,
                "failed": [asdict(each) for each in load.failed],
                "latencies": load.latencies,
                "seconds": seconds,
            }
        )

    async def _received(self, request: web.Request) -> web.Response:
        """Answer with the announcements from the given one on, in the order of receipt."""
        first = int(request.query["from"])
        return web.json_response([asdict(each) for each in self.received[first:]])

    async def _longest_delay(self, request: web.Request) -> web.Response:
        return web.json_response(self.longest_delay(self._load) if self._load else 0.0)

    async def _notifications(self, request: web.Request) -> web.Response:
        async with aiohttp.ClientSession() as session:
            listed = await listed_notifications(session, NOTIFICATIONS)
        return web.json_response([asdict(each) for each in listed])

    async def _dead_letters(self, request: web.Request) -> web.Response:
        async with aiohttp.ClientSession() as session:
            letters: list[Any] = await dead_letters(session, NOTIFICATIONS)
        return web.json_response(letters)


if __name__ == "__main__":
    web.run_app(Inside().application(), port=PORT, access_log=None, print=None)
