"""A run of the campaign: one system, one fault after the other, and what came of it."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from redis import Redis

from faults.history import COLUMNS, COMPLETED, History, Notification, StoredTask, Verdict, check
from faults.injections import FAULTS, NOTIFICATIONS, Fault, Target
from faults.load import Load
from faults.observations import (
    dead_letters,
    listed_notifications,
    logged_deliveries,
    stored_tasks,
)
from faults.probe import Probe
from faults.redis_proxy import RedisProxy
from faults.report import FaultResult, Run, merged, this_machine
from tools.local_system import LocalSystem

STEADY_SECONDS = 1.0
LONGEST_WAY_SECONDS = 0.08
"""After this long, the changes that were requested together are announced and notified."""
RECOVERS_WITHIN_SECONDS = 120
SETTLES_WITHIN_SECONDS = 90
LATE_SECONDS = 21
"""After this long the broker has delivered again whatever was in hand when a part was killed."""

Say = Callable[[str, bool], None]
"""Shows a line; one that is not final is replaced by the next."""


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Args:
        kills, others: how often each kill, and each other fault, is injected.
        seed: determines the order of the faults, when they are injected, and what the clients do.
        only: the names of the faults to inject, if not all.
    """

    kills: int
    others: int
    seed: int
    only: Sequence[str] = ()

    def faults(self) -> list[tuple[Fault, int]]:
        """Return the faults in the order of the seed; a replica, once there, stays to the end."""
        chosen = [fault for fault in FAULTS if not self.only or fault.name in self.only]
        random.Random(self.seed).shuffle(chosen)
        chosen.sort(key=lambda fault: fault.on_replicas)
        return [(fault, self.kills if fault.is_kill else self.others) for fault in chosen]


class Batch:
    """The injections of one fault, the load beside them, and what is known of its tasks."""

    def __init__(self, fault: Fault, load: Load) -> None:
        self.fault = fault
        self.load = load
        self.recoveries: list[float] = []
        self.steady_seconds = 0.0
        self.steady_changes = 0
        self.unexpected: list[str] = []
        self.verdict = Verdict()
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def history(self) -> History:
        """Return what the clients know."""
        return History(
            acknowledged=[each.change for each in self.load.acknowledged],
            deleted=set(self.load.deleted),
        )


class Ledger:
    """Gathers what happened to the tasks of each batch, and has it checked."""

    def __init__(self, system: LocalSystem, probe: Probe, session: aiohttp.ClientSession) -> None:
        self._system = system
        self._probe = probe
        self._session = session
        self._notifications: dict[str, Notification] = {}
        self._dead_letters: set[str] = set()
        self._batch_of: dict[str, Batch] = {}
        """By task. A task that no client knows is of the batch in which it appears."""

    async def settle(self, batch: Batch) -> None:
        """Wait until all that was stored is announced and notified, and check the batch."""
        deadline = time.monotonic() + SETTLES_WITHIN_SECONDS
        while True:
            late = time.monotonic() > deadline
            if late or (not self._unheard(batch) and await self._notified(batch)):
                before = [id for id, owner in self._batch_of.items() if owner is not batch]
                stored = await self._stored(but=set(before))
                history = self._histories([batch], stored, list(self._notifications.values()))
                batch.verdict = check(history[batch])
                found = batch.verdict.found
                if late or not (found["unannounced"] or found["not_notified"]):
                    break
            await asyncio.sleep(0.25)
        with suppress(aiohttp.ClientError, TimeoutError):
            letters = set(await dead_letters(self._session, self._system.url(NOTIFICATIONS)))
            batch.unexpected += sorted(letters - self._dead_letters)
            self._dead_letters |= letters
        batch.unexpected += batch.load.surprises

    async def close(self, batches: Sequence[Batch]) -> None:
        """Check all batches once more, by all that there is to see now."""
        listed = await listed_notifications(self._session, self._system.url(NOTIFICATIONS))
        histories = self._histories(batches, await self._stored(), listed)
        for id in logged_deliveries(self._system.state / "logs"):
            known = self._notifications.get(id)
            owner = self._batch_of[known.task_id] if known else batches[-1]
            histories[owner].delivered.append(id)
        for batch in batches:
            last = check(histories[batch])
            batch.unexpected += [
                f"{task_id} is deleted, announced, and still has a key in the store"
                for task_id, task in histories[batch].stored.items()
                if task.deleted
            ]
            for column, found in last.found.items():
                if len(found) < len(batch.verdict.found[column]):
                    last.found[column] = batch.verdict.found[column]
            batch.verdict = last

    def _unheard(self, batch: Batch) -> bool:
        return any(
            (each.change.task_id, each.change.version) not in self._probe.first_received
            for each in batch.load.acknowledged
        ) or any(task_id not in self._probe.deletions for task_id in batch.load.deleted)

    async def _notified(self, batch: Batch) -> bool:
        with suppress(aiohttp.ClientError, TimeoutError):
            url = self._system.url(NOTIFICATIONS)
            for each in await listed_notifications(self._session, url, self._notifications):
                self._notifications[each.id] = each
        messages = {(each.task_id, each.message) for each in self._notifications.values()}
        return all(
            (each.change.task_id, f"Task '{each.change.title}' has been completed") in messages
            for each in batch.load.acknowledged
            if each.change.type == COMPLETED
        )

    async def _stored(self, but: set[str] | None = None) -> dict[str, StoredTask]:
        with Redis(port=self._system.ports.redis, decode_responses=True) as redis:
            return await asyncio.to_thread(stored_tasks, redis, but=but or ())

    def _histories(
        self,
        batches: Sequence[Batch],
        stored: Mapping[str, StoredTask],
        listed: Sequence[Notification],
    ) -> dict[Batch, History]:
        """Return what was seen of the tasks of each batch."""
        histories = {batch: batch.history() for batch in batches}
        for batch in batches:
            for each in batch.load.acknowledged:
                self._batch_of[each.change.task_id] = batch
        for task_id, task in stored.items():
            if history := histories.get(self._batch_of.setdefault(task_id, batches[-1])):
                history.stored[task_id] = task
        for announcement in self._probe.received:
            owner = self._batch_of.setdefault(announcement.change.task_id, batches[-1])
            if history := histories.get(owner):
                history.received.append(announcement)
        for notification in listed:
            self._notifications[notification.id] = notification
            owner = self._batch_of.setdefault(notification.task_id, batches[-1])
            if history := histories.get(owner):
                history.listed.append(notification)
        return histories


async def run(plan: Plan, state: Path, say: Say) -> Run:
    """Run the plan on a system of its own, whose state and logs are in `state`."""
    began = time.monotonic()
    measured_with = this_machine()
    chance = random.Random(plan.seed)
    proxy = RedisProxy()
    system = LocalSystem.for_test(state, redis_proxy_port=proxy.port)
    batches: list[Batch] = []
    try:
        await asyncio.to_thread(proxy.start, system)
        await asyncio.to_thread(system.start)
        target = Target(system, proxy, chance)
        async with Probe(system) as probe, aiohttp.ClientSession() as session:
            ledger = Ledger(system, probe, session)
            for fault, times in plan.faults():
                batches.append(await _inject(fault, times, target, session, plan, chance, say))
                await ledger.settle(batches[-1])
                say(_line(batches[-1], times), True)
            say("waiting for what may still come …", False)
            await asyncio.sleep(LATE_SECONDS)
            await ledger.close(batches)
            with Redis(port=system.ports.redis, decode_responses=True) as redis:
                appendfsync = str(redis.config_get("appendfsync")["appendfsync"])
            delays = [probe.longest_delay(batch.load) for batch in batches]
    finally:
        await asyncio.to_thread(system.stop)
    figures = Run(
        **measured_with,
        appendfsync=appendfsync,
        seeds=[plan.seed],
        seconds=round(time.monotonic() - began),
        steady_changes_a_second=round(
            sum(batch.steady_changes for batch in batches)
            / sum(batch.steady_seconds for batch in batches),
            1,
        ),
        faults=[_result(*each) for each in zip(batches, delays, strict=True)],
    )
    return merged([figures])


async def _inject(
    fault: Fault,
    times: int,
    target: Target,
    session: aiohttp.ClientSession,
    plan: Plan,
    chance: random.Random,
    say: Say,
) -> Batch:
    if fault.on_replicas:
        await target.add_replica()
    load = Load(target.urls, name=fault.name, seed=f"{plan.seed} {fault.name}")
    batch = Batch(fault, load)
    async with load:
        for _ in range(times):
            await _steady(batch, STEADY_SECONDS + chance.uniform(0, 0.5))
            say(_line(batch, times), False)
            await load.burst()
            await asyncio.sleep(chance.uniform(0, LONGEST_WAY_SECONDS))
            since = await fault.inject(target)
            recovered = await _recovered(fault, load, target, session, since)
            batch.recoveries.append(recovered - since)
            say(_line(batch, times), False)
            await target.until_whole()
            batch.unexpected += await target.strange_messages.missed()
        await _steady(batch, STEADY_SECONDS)
    return batch


async def _steady(batch: Batch, seconds: float) -> None:
    before, began = batch.load.changes, time.monotonic()
    await asyncio.sleep(seconds)
    batch.steady_changes += batch.load.changes - before
    batch.steady_seconds += time.monotonic() - began


async def _recovered(
    fault: Fault, load: Load, target: Target, session: aiohttp.ClientSession, since: float
) -> float:
    """Return the moment of the first proof that the system works again."""
    async with asyncio.timeout(RECOVERS_WITHIN_SECONDS):
        if fault.shows_in == "changes":
            return await load.first_acknowledgement(since)
        url = f"{target.system.url(NOTIFICATIONS)}/notifications"
        while True:
            titles = load.completed_since(since)
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(
                    url, params={"limit": "50"}, timeout=aiohttp.ClientTimeout(total=2)
                ) as answer:
                    page = await answer.json() if answer.status == 200 else {"items": []}
                if any(
                    f"'{title}'" in each["message"] for each in page["items"] for title in titles
                ):
                    return time.monotonic()
            await asyncio.sleep(0.03)


def _line(batch: Batch, times: int) -> str:
    done = len(batch.recoveries)
    last = f"recovered in {batch.recoveries[-1]:.1f} s" if done else ""
    wrong = {column: count for column, count in batch.verdict.counts().items() if count}
    if batch.unexpected:
        wrong["unexpected"] = len(batch.unexpected)
    return (
        f"{batch.fault.name:46} {done:3}/{times:<3} {batch.load.changes:6} changes"
        f" {batch.seconds:5.0f} s  {last}"
        f"{'  ' + str(wrong) if wrong else ''}"
    )


def _result(batch: Batch, delay: float) -> FaultResult:
    return FaultResult(
        name=batch.fault.name,
        injected=len(batch.recoveries),
        acknowledged=batch.load.changes,
        found=batch.verdict.counts(),
        unexpected=len(batch.unexpected),
        repeated_events=batch.verdict.repeated,
        longest_delay_seconds=round(delay, 3),
        recovery_seconds=[round(each, 3) for each in batch.recoveries],
        examples=[
            f"{column}: {example}"
            for column in COLUMNS
            for example in batch.verdict.found[column][:5]
        ]
        + [f"unexpected: {each}" for each in batch.unexpected[:5]],
    )
