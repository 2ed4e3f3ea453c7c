"""The faults, and the running system that they are done to."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import aiohttp
from redis import Redis

from faults.redis_proxy import BOTH_WAYS, RedisProxy
from faults.strange_messages import StrangeMessages
from tools.local_system import LocalSystem
from tools.ports import listener

PAUSE_SECONDS = 10
CUT_SECONDS = 3
DELAY_SECONDS = 10
DELAY_MILLISECONDS = 2000
REFUSAL_SECONDS = 5
STRANGE_MESSAGES = 50
WHOLE_WITHIN_SECONDS = 60

TASK_API, NOTIFICATIONS = "task-api", "notification-service"
REPLICA = "replica of task-api"
INSTANCES = (TASK_API, f"sidecar of {TASK_API}", REPLICA, f"sidecar of {REPLICA}")
PARTS = (
    TASK_API,
    f"sidecar of {TASK_API}",
    NOTIFICATIONS,
    f"sidecar of {NOTIFICATIONS}",
    "Redis",
    "scheduler",
)


class Target:
    """A running system whose parts can be broken.

    Every way to break it returns the moment from which its recovery counts: that of a kill, and
    for what lasts a while, that of its end.
    """

    def __init__(self, system: LocalSystem, proxy: RedisProxy, chance: random.Random) -> None:
        self.system = system
        self.urls = [system.url(TASK_API)]
        """Of the instances of task-api."""
        self._proxy = proxy
        self._chance = chance
        self.strange_messages = StrangeMessages(
            system.ports.redis, system.url(NOTIFICATIONS), chance
        )
        ports = system.ports
        self._parts = {
            TASK_API: system.app(TASK_API),
            f"sidecar of {TASK_API}": system.sidecar(TASK_API),
            NOTIFICATIONS: system.app(NOTIFICATIONS),
            f"sidecar of {NOTIFICATIONS}": system.sidecar(NOTIFICATIONS),
            "Redis": listener(ports.redis),
            "scheduler": listener(ports.scheduler["scheduler"]),
        }

    async def add_replica(self) -> None:
        """Start a second instance of task-api, if there is none yet."""
        if REPLICA not in self._parts:
            url = await asyncio.to_thread(self.system.add_replica, TASK_API)
            self.urls.append(url)
            replica = listener(int(url.rpartition(":")[2]))
            sidecar = listener(int(replica.environ()["DAPR_HTTP_PORT"]))
            self._parts |= {REPLICA: replica, f"sidecar of {REPLICA}": sidecar}

    async def kill(self, part: str) -> float:
        died: list[float] = []
        self._parts[part] = await asyncio.to_thread(
            self.system.restart_after, self._parts[part], lambda: died.append(time.monotonic())
        )
        return died[0]

    async def kill_one_of_two(self) -> float:
        return await self.kill(self._chance.choice(INSTANCES))

    async def pause_one_of_two(self) -> float:
        return await self.pause(self._chance.choice(INSTANCES))

    async def pause(self, part: str) -> float:
        process = self._parts[part]
        process.suspend()
        try:
            await asyncio.sleep(PAUSE_SECONDS)
        finally:
            process.resume()
        return time.monotonic()

    async def cut(self) -> float:
        """Cut Redis off from the sidecars, in one of the ways in which networks do."""
        ways: list[Callable[[], None]] = [
            self._proxy.refuse_connections,
            lambda: self._proxy.drop(*BOTH_WAYS),
            lambda: self._proxy.drop("downstream"),
        ]
        return await self._for_a_while(self._chance.choice(ways), CUT_SECONDS)

    async def delay(self) -> float:
        return await self._for_a_while(lambda: self._proxy.delay(DELAY_MILLISECONDS), DELAY_SECONDS)

    async def refuse_writes(self) -> float:
        with Redis(port=self.system.ports.redis) as redis:
            await asyncio.to_thread(redis.config_set, "maxmemory", "1")
            try:
                await asyncio.sleep(REFUSAL_SECONDS)
            finally:
                await asyncio.to_thread(redis.config_set, "maxmemory", "0")
        return time.monotonic()

    async def send_strange_messages(self) -> float:
        since = time.monotonic()
        await asyncio.to_thread(self.strange_messages.send, STRANGE_MESSAGES)
        return since

    async def until_whole(self) -> None:
        """Return once every part is there again.

        Raises:
            TimeoutError: one is not.
        """
        addresses = [*self.urls, self.system.url(NOTIFICATIONS)]
        async with (
            asyncio.timeout(WHOLE_WITHIN_SECONDS),
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
        ):
            for url in addresses:
                await _until(partial(_answers, session, f"{url}/health/ready"))
            await _until(partial(_listens, self.system.ports.scheduler["scheduler"]))

    async def _for_a_while(self, begin: Callable[[], None], seconds: float) -> float:
        await asyncio.to_thread(begin)
        try:
            await asyncio.sleep(seconds)
        finally:
            await asyncio.to_thread(self._proxy.mend)
        return time.monotonic()


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Args:
        shows_in: what proves that the system works again: a change that is acknowledged, or the
            notification of a task that was completed since.
    """

    name: str
    inject: Callable[[Target], Awaitable[float]]
    shows_in: Literal["changes", "notifications"] = "changes"
    is_kill: bool = False
    on_replicas: bool = False


def _shows_in(part: str) -> Literal["changes", "notifications"]:
    return "notifications" if part.endswith(NOTIFICATIONS) else "changes"


def _kill(part: str) -> Fault:
    return Fault(f"kill of {part}", lambda target: target.kill(part), _shows_in(part), True)


def _pause(part: str) -> Fault:
    return Fault(f"pause of {part}", lambda target: target.pause(part), _shows_in(part))


FAULTS = (
    *(_kill(part) for part in PARTS),
    *(_pause(part) for part in PARTS),
    Fault("cut between the sidecars and Redis", Target.cut),
    Fault("delay of 2 s between the sidecars and Redis", Target.delay),
    Fault("Redis refuses writes", Target.refuse_writes),
    Fault(
        f"{STRANGE_MESSAGES} messages that nobody invented",
        Target.send_strange_messages,
        "notifications",
    ),
    Fault(
        "kill of one of two task-api replicas",
        Target.kill_one_of_two,
        is_kill=True,
        on_replicas=True,
    ),
    Fault(
        "pause of one of two task-api replicas",
        Target.pause_one_of_two,
        on_replicas=True,
    ),
)


async def _until(outcome: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await outcome():
            return
        await asyncio.sleep(0.05)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
