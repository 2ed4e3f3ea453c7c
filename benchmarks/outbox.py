"""The announcing of the services against Dapr's built-in outbox, on the same kind of store."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from benchmarks.backlog import EVENTS, Broker, Event, NeverAnnounced
from benchmarks.client import TASK, all_of, ask, connected
from benchmarks.measurements import Announcing, Outbox
from benchmarks.systems import Comparators, ours
from benchmarks.throughput import POST, Load
from tools.local_system import LocalSystem

OUTBOX = "outbox"
OUTBOX_EVENTS = "outbox-events"
CONCURRENCY = 16
DRAIN_CONNECTIONS = 64
LONE_CHANGES = 5
PATIENCE_SECONDS = 120

Change = Callable[[aiohttp.ClientSession, int], Awaitable[str]]
"""Makes a change, given its number, and returns a text that is in its event alone."""


def measure(
    folder: Path, *, events: int, rounds: int, seconds: int, progress: Callable[[str], None]
) -> Outbox:
    """Return how both announce `events` changes at once, and single ones."""
    with Comparators(folder / "comparators") as comparators:
        comparators.start_sidecar(OUTBOX)
        url, broker = comparators.sidecar_url(OUTBOX), Broker(comparators.ports.redis)
        built_in = asyncio.run(_announcing(url, broker, OUTBOX_EVENTS, _transaction, events))
    progress(f"built-in outbox: {built_in.drained_per_second[0]:.1f} events a second")
    with LocalSystem.for_test(folder / "ours") as system:
        target = ours(system)
        load = Load(target, folder / "outbox.ids", 10)
        load.run(POST, DRAIN_CONNECTIONS, 1)
        broker = Broker(system.ports.redis)
        broker.wait_until_idle()
        announcing = asyncio.run(_announcing(target.url, broker, EVENTS, _create, events))
        # A number that the built-in outbox takes a minute for is too few to be a rate of ours.
        rates = []
        for round in range(1, rounds + 1):
            before = broker.announced()
            load.sample(POST, DRAIN_CONNECTIONS, seconds, round)
            rates.append(_rate(broker.last_events(broker.announced() - before)))
    progress(f"ours: {max(rates):.0f} events a second")
    return Outbox(
        ours=announcing.model_copy(update={"drained_per_second": rates}), built_in=built_in
    )


async def _announcing(
    url: str, broker: Broker, stream: str, change: Change, events: int
) -> Announcing:
    lone = []
    async with connected(url) as session:
        for number in range(LONE_CHANGES):
            delays, _ = await _delays(session, broker, stream, change, 1, number)
            lone += delays
        delays, published = await _delays(
            session, broker, stream, change, events, first=LONE_CHANGES
        )
    return Announcing(
        events=events,
        drained_per_second=[_rate(published)],
        delays_ms=delays,
        lone_delays_ms=lone,
    )


async def _delays(
    session: aiohttp.ClientSession,
    broker: Broker,
    stream: str,
    change: Change,
    count: int,
    first: int,
) -> tuple[list[float], list[Event]]:
    """Make changes; return how long each took to be announced, and their events."""
    before = broker.events(stream)
    sent_at: dict[str, float] = {}

    async def make(number: int) -> None:
        sent = time.time() * 1000
        sent_at[await change(session, first + number)] = sent

    await all_of(count, CONCURRENCY, make)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (announced := broker.events(stream) - before) < count:
        if time.monotonic() > deadline:
            raise NeverAnnounced(
                f"{count - announced} of {count} changes are not on {stream} after"
                f" {PATIENCE_SECONDS} s."
            )
        await asyncio.sleep(0.05)
    events = broker.last_events(announced, stream)
    published_at = {_mark(event.text): event.published_at for event in reversed(events)}
    return [published_at[mark] - sent for mark, sent in sent_at.items()], events


async def _create(session: aiohttp.ClientSession, number: int) -> str:
    return str((await ask(session, "POST", "/tasks", TASK))["id"])


async def _transaction(session: aiohttp.ClientSession, number: int) -> str:
    mark = f"00000000-0000-4000-8000-{number:012}"
    # As text: of an object the sidecar would make a Go map in the event, or ask Redis for its JSON
    # module.
    request = {"key": f"task-{mark}", "value": json.dumps({"id": mark, **TASK})}
    body = {"operations": [{"operation": "upsert", "request": request}]}
    await ask(session, "POST", f"/v1.0/state/{OUTBOX}/transaction", body)
    return mark


def _mark(text: str) -> str:
    """Return the id of the task that an event is about: the first that is no id of the event."""
    found = re.search(r'id\\?": ?\\?"([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21})\\?"', text)
    return found[1] if found else ""


def _rate(events: list[Event]) -> float:
    """Return events a second, from the first to the last."""
    seconds = (events[-1].published_at - events[0].published_at) / 1000
    return (len(events) - 1) / max(seconds, 0.001)
