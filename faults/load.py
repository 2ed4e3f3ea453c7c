"""Clients that create, change, complete and delete tasks at a steady rate, and never give up.

A client whose request fails or is not answered does not know what became of it, so it finds out:
it sends the request again, with the same Idempotency-Key or If-Match, and reads where that says
that the task has moved on.
"""

import asyncio
import math
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import aiohttp

from faults.history import COMPLETED, CREATED, Change

CHANGES_A_SECOND = 58
BURSTS_A_SECOND = 7
"""Requests start together, so that a fault that follows a burst finds some of them under way."""
CLIENTS = 32
PATIENCE_SECONDS = (1.5, 4.0, 12.0)
"""How long clients wait for an answer: less and more than task-api takes to answer 503."""
KEEPS_IDLE_SECONDS = 4
"""How long a client keeps a connection that it does not use: less than the services do."""
GIVES_UP_SECONDS = 90
SHARED_ONE_IN = 12
TOUCHES = 8
"""Most changes of a task after its creation: its document keeps the last 16."""
TOGETHER = 3
"""Clients that change a shared task at the same moment."""

UPDATED = "task.updated"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    change: Change
    started: float
    at: float


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    task: dict[str, Any] | None
    started: float
    at: float


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that was not answered, or was answered with an error of the server."""

    started: float
    at: float
    why: str


class Unanswered(aiohttp.ClientError):
    """A request whose connection failed; says how."""


class Abandoned(Exception):
    """A request was answered otherwise than the contract has it, or not at all; says how."""


class Load:
    """A steady mixed load, while its context is entered.

    Args:
        urls: of the instances of task-api; the clients use them in turns.
        name: starts the titles of its tasks; no two loads on a system share one.
        seed: determines what the clients do, though not how they are interleaved.
        changes_a_second: how many changes are requested, while they are answered.
        patience: how many seconds a client waits for an answer; one of these, by chance.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        name: str,
        seed: str,
        changes_a_second: float = CHANGES_A_SECOND,
        patience: Sequence[float] = PATIENCE_SECONDS,
    ) -> None:
        self.acknowledged: list[Acknowledged] = []
        self.deleted: dict[str, float] = {}
        """The moment of the acknowledgement, by task."""
        self.surprises: list[str] = []
        """What the contract does not allow."""
        self.failed: list[Failure] = []
        """Every attempt that failed, whatever became of the request when it was sent again."""
        self.latencies: list[float] = []
        """Of each answer, in seconds."""
        self.changes = 0
        self._urls = list(urls)
        self._name = name
        self._seed = seed
        self._changes_a_second = changes_a_second
        self._patience = patience
        self.stopping = False
        """No client begins anything new."""
        self._next_slot = 0.0
        self._lives = 0
        self._waiting: list[tuple[float, asyncio.Future[float]]] = []
        self._open = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Load":
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPS_IDLE_SECONDS)
        self._session = await self._open.enter_async_context(
            aiohttp.ClientSession(connector=connector, middlewares=[_every_attempt_counts])
        )
        clients = await self._open.enter_async_context(asyncio.TaskGroup())
        for number in range(CLIENTS):
            clients.create_task(self._client(number))
        return self

    async def __aexit__(self, *error: Any) -> None:
        """Return once every client knows what became of its last request."""
        self.stopping = True
        await self._open.__aexit__(*error)

    async def first_acknowledgement(self, since: float) -> float:
        """Return when the first change that was requested after `since` was acknowledged.

        Args:
            since: a moment of `time.monotonic()`.
        """
        first: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((since, first))
        return await first

    def completed_since(self, moment: float) -> set[str]:
        """Return the titles of the tasks whose completion was requested after `moment`."""
        since = takewhile(lambda each: each.at >= moment, reversed(self.acknowledged))
        return {
            each.change.title
            for each in since
            if each.started >= moment and each.change.type == COMPLETED
        }

    async def _client(self, number: int) -> None:
        chance = random.Random(f"{self._seed} {number}")
        while not self.stopping:
            self._lives += 1
            title = f"{self._name} {self._lives}"
            shared = chance.randrange(SHARED_ONE_IN) == 0
            life = _SharedTask if shared else _OwnTask
            try:
                await life(self, title, chance).live()
            except Abandoned as surprise:
                self.surprises.append(str(surprise))

    async def slot(self, places: int = 1) -> None:
        """Wait for the turn of as many changes; what an outage left undone is not caught up."""
        now = time.monotonic()
        moment = max(now, self._next_slot)
        self._next_slot = moment + places / self._changes_a_second
        await asyncio.sleep(_next_burst(moment) - now)

    async def burst(self) -> None:
        """Return when requests start."""
        now = time.monotonic()
        await asyncio.sleep(_next_burst(now) - now)

    async def send(
        self, chance: random.Random, method: str, path: str, **arguments: Any
    ) -> tuple[Answer, bool]:
        """Send a request until it is answered; return also whether it was sent before in vain."""
        deadline = time.monotonic() + GIVES_UP_SECONDS
        pause = 0.02
        again = False
        while time.monotonic() < deadline:
            started = time.monotonic()
            why = None
            try:
                answer = await self._send_once(chance, method, path, **arguments)
                self.latencies.append(answer.at - answer.started)
                if answer.status >= 500:
                    why = str(answer.status)
                if answer.status != 503:
                    return answer, again
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                why = f"{type(error).__name__} {error}"
            finally:
                if why:
                    self.failed.append(
                        Failure(started, time.monotonic(), f"{method} {path}: {why}")
                    )
            again = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.2)
        raise Abandoned(f"{self._name}: a request got no answer for {GIVES_UP_SECONDS} s")

    async def _send_once(
        self, chance: random.Random, method: str, path: str, **arguments: Any
    ) -> Answer:
        assert self._session
        url = chance.choice(self._urls)
        patience = aiohttp.ClientTimeout(total=chance.choice(self._patience))
        started = time.monotonic()
        async with self._session.request(
            method, url + path, timeout=patience, **arguments
        ) as response:
            body = await response.json(content_type=None) if response.status != 204 else None
        return Answer(response.status, body, started, time.monotonic())

    def acknowledge(self, answer: Answer, type: str) -> None:
        task = answer.task
        assert task
        change = Change(
            task_id=task["id"],
            version=task["version"],
            type=type,
            title=task["title"],
            status=task["status"],
            priority=task["priority"],
            assignee=task["assignee"],
            due_at=task["due_at"],
            moment=task["updated_at"],
        )
        self.acknowledged.append(Acknowledged(change, answer.started, answer.at))
        self._count(answer)

    def acknowledge_deletion(self, task_id: str, answer: Answer) -> None:
        self.deleted[task_id] = answer.at
        self._count(answer)

    def _count(self, answer: Answer) -> None:
        self.changes += 1
        for waiting in list(self._waiting):
            since, first = waiting
            if answer.started >= since:
                self._waiting.remove(waiting)
                if not first.done():
                    first.set_result(answer.at)


async def _every_attempt_counts(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep the HTTP client from sending a request again by itself, which would hide a failure."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise Unanswered(f"{type(error).__name__} {error}") from error


def _next_burst(moment: float) -> float:
    return math.ceil(moment * BURSTS_A_SECOND) / BURSTS_A_SECOND


class _Life:
    """What happens to one task."""

    def __init__(self, load: Load, title: str, chance: random.Random) -> None:
        self.load = load
        self.title = title
        self.chance = chance
        # Apart from what the client wants: how often it has to send is not the seed's to say.
        self._sending = random.Random(title)
        self.task: dict[str, Any] = {}

    @property
    def path(self) -> str:
        return f"/tasks/{self.task['id']}"

    async def send(self, method: str, path: str, **arguments: Any) -> tuple[Answer, bool]:
        return await self.load.send(self._sending, method, path, **arguments)

    async def create(self) -> None:
        body = {"title": self.title, "priority": self.chance.randint(1, 5)}
        key = {"Idempotency-Key": self.title}
        await self.load.slot()
        answer, _ = await self.send("POST", "/tasks", json=body, headers=key)
        self.expect(answer, 201, version=1, status="pending", **body)
        self.load.acknowledge(answer, CREATED)

    async def delete(self, headers: dict[str, str]) -> None:
        await self.load.slot()
        answer, again = await self.send("DELETE", self.path, headers=headers)
        # Gone already, by an attempt of its own.
        if answer.status != 204 and not (again and answer.status == 404):
            raise Abandoned(f"{self.title}: wanted 204 for its deletion, got {answer}")
        self.load.acknowledge_deletion(self.task["id"], answer)

    def expect(self, answer: Answer, code: int, **fields: Any) -> None:
        """Take the answer's task for what the task is now, if it is as it should be."""
        task = answer.task or {}
        if answer.status != code or fields.items() - task.items():
            raise Abandoned(f"{self.title}: wanted {code} {fields}, got {answer}")
        self.task = task


class _OwnTask(_Life):
    """A task with a single client, which so knows each version, and insists on it."""

    async def live(self) -> None:
        await self.create()
        renamed = 0
        fresh_title = True  # no completion had this title yet
        for _ in range(self.chance.randint(2, TOUCHES)):
            if self.load.stopping:
                return
            others = {"pending", "in_progress", "completed"} - {self.task["status"]}
            if not fresh_title:
                others.discard("completed")
            if self.chance.random() < 0.4:
                renamed += 1
                fresh_title = True
                await self._change(
                    "PATCH", self.path, UPDATED, {"title": f"{self.title}.{renamed}"}
                )
            else:
                status = self.chance.choice(sorted(others))
                await self._change(
                    "PUT",
                    f"{self.path}/status?status={status}",
                    f"task.{status}",
                    None,
                    status=status,
                )
                fresh_title = fresh_title and status != "completed"
        if self.chance.random() < 0.6 and not self.load.stopping:
            await self.delete({"If-Match": f'"{self.task["version"]}"'})

    async def _change(
        self, method: str, path: str, type: str, body: dict[str, Any] | None, **wanted: Any
    ) -> None:
        version = self.task["version"]
        wanted |= body or {}
        await self.load.slot()
        answer, again = await self.send(
            method, path, json=body, headers={"If-Match": f'"{version}"'}
        )
        if again and answer.status == 412:  # by an attempt of its own
            answer, _ = await self.send("GET", self.path)
        self.expect(answer, 200, version=version + 1, **wanted)
        self.load.acknowledge(answer, type)


class _SharedTask(_Life):
    """A task that several clients change at the same moment, none of them knowing its version."""

    async def live(self) -> None:
        await self.create()
        for turn in range(TOUCHES // TOGETHER):
            await self.load.slot(TOGETHER)
            await asyncio.gather(*(self._rename(f"{turn}{each}") for each in range(TOGETHER)))
        if self.chance.random() < 0.5:
            await self.delete({})

    async def _rename(self, suffix: str) -> None:
        body = {"title": f"{self.title}.{suffix}"}
        answer, _ = await self.send("PATCH", self.path, json=body)
        self.expect(answer, 200, **body)
        self.load.acknowledge(answer, UPDATED)
