"""What simulated worlds begin with, and what their clients want."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cache
from unittest.mock import patch

import structlog

import shared_models.moments
import task_api.announcements
import task_api.idempotency
import task_api.removals
import task_api.reserved_ids
import task_api.task_documents
import task_api.tasks
from shared_models import TaskEventType, TaskStatus
from tests.simulation.clients import Client, Create, Delete, Edit, Request, SetStatus, Wanted
from tests.simulation.decisions import Decisions
from tests.simulation.ledger import Hole
from tests.simulation.simulated_world import Message, World
from tests.simulation.virtual_loop import VirtualDatetime

FIRST = "first"
"""Title and idempotency key of the task that most worlds begin with."""

SHARES_OF_CREATIONS = (0.1, 0.1, 0.1, 0.1, 0.9)
"""How probable it is that a request makes a task; mostly there are races for one that is there."""

LOOKS_AFTER = (timedelta(milliseconds=50),)
"""The only one comes when no save that was sent before the removal can arrive any more."""


@contextmanager
def small_limits() -> Iterator[None]:
    """Bring the limits of the services down to what a few steps reach, and keep them silent.

    The limits keep their order, and the wall clock follows the time of the world.
    """
    before = structlog.get_config()
    with ExitStack() as patches:
        for module, name, value in (
            (task_api.task_documents, "CHANGES_KEPT", 2),
            (task_api.tasks, "CHANGES_KEPT", 2),
            (task_api.idempotency, "FIRST_ATTEMPT_MAY_TAKE", timedelta(milliseconds=4)),
            (task_api.idempotency, "PAUSE", timedelta(milliseconds=4)),
            (task_api.announcements, "PATIENCE", timedelta(milliseconds=4)),
            (task_api.removals, "QUICK", timedelta(milliseconds=2)),
            (task_api.removals, "REMOVED_AFTER", timedelta(milliseconds=3)),
            (task_api.removals, "LOOKS_AFTER", LOOKS_AFTER),
            (task_api.removals, "TOMBSTONE_KEPT_FOR", timedelta(milliseconds=5)),
            (task_api.reserved_ids, "MOST_AHEAD", 1),
            (task_api.reserved_ids, "KEPT_FOR", timedelta(milliseconds=20)),
            (shared_models.moments, "datetime", VirtualDatetime),
        ):
            patches.enter_context(patch.object(module, name, value))
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        try:
            yield
        finally:
            structlog.configure(**before)


@cache
def starts() -> dict[str, World]:
    """Worlds in which all is settled, but that one completion was not told to anybody."""
    first = Create(FIRST, key=FIRST)
    completion = SetStatus(first.wanted, TaskStatus.COMPLETED)
    untold = _settled([first, completion])
    untold.state.values = {
        key: stored for key, stored in untold.state.values.items() if "notification" not in key
    }
    untold.ledger.delivered.clear()
    return {
        "a new task": _settled([first]),
        "a completed task": _settled([first, completion]),
        "an untold completion": untold,
        "nothing": _settled([]),
    }


def _settled(requests: list[Request]) -> World:
    world = World(Decisions.from_bytes(()))
    Client(world, requests)
    world.run()
    return world


def first_task(start: World) -> Wanted:
    return Wanted(next(iter(start.ledger.versions), None))


def small_world(decisions: Decisions) -> World:
    """Return a world with two clients, who ask for at most four things together."""
    name = decisions.one_of(("a new task",) * 4 + tuple(starts())[1:])
    start = starts()[name]
    world = World(
        decisions,
        start,
        faults=decisions.one_of((0, 1, 1, 2, 2, 3, 3)),
        fault_rate=decisions.one_of((0.1, 0.3)),
        redis=decisions.below(4) < 3,
    )
    count = decisions.one_of((2, 2, 2, 2, 2, 3, 4))
    if name == "an untold completion":
        count = decisions.one_of((0, 1, 1, 2, 2))
        for event in start.ledger.announced.values():
            if event.type == TaskEventType.COMPLETED:
                world.pending.append(Message(world, event))
    wanted = first_task(start)
    share = decisions.one_of(SHARES_OF_CREATIONS)
    requests = [_request(decisions, share, wanted, f"task {number}") for number in range(count)]
    if wanted.id is None:
        requests[0] = Create("wanted", wanted)
    split = 1 + decisions.below(count - 1)
    Client(world, requests[:split])
    Client(world, requests[split:])
    world.setting = f"{name}; {requests[:split]}, {requests[split:]}"
    return world


def _request(decisions: Decisions, creations: float, wanted: Wanted, title: str) -> Request:
    if decisions.happens(creations):
        # With a key that both clients use, with that of the first task, or without one.
        key = decisions.one_of(("shared", "shared", FIRST, None))
        return Create(key or title, key=key)
    kind = decisions.below(8)
    if kind > 5:
        return Delete(wanted)
    if kind > 2:
        return SetStatus(wanted, decisions.one_of(tuple(TaskStatus)))
    return Edit(wanted, title)


def _world_of_looks_cut_short(decisions: Decisions) -> World:
    world = World(decisions, starts()["a new task"], faults=1, fault_rate=0.1)
    wanted = first_task(world)
    Client(world, [Edit(wanted, "late")])
    Client(world, [Delete(wanted)])
    world.outside.call_later(_some_time(decisions), world.stop_those_that_look)
    return world


def world_of_late_saves(decisions: Decisions) -> World:
    """Return a world whose clients are likely to meet what a late save of a removed task left."""
    world = World(decisions, starts()["a new task"], faults=3, fault_rate=0.3)
    wanted = first_task(world)
    Client(world, [Edit(wanted, "late")])
    Client(world, [Delete(wanted)])
    for number in range(3):
        requests = [Edit(wanted, f"on top {number}")]
        world.outside.call_later(_some_time(decisions), Client, world, requests)
    return world


def _some_time(decisions: Decisions) -> float:
    return 0.005 * (1 + decisions.below(12))


WORLDS_OF_HOLES = {
    Hole.LOOKS_CUT_SHORT: _world_of_looks_cut_short,
}
"""Worlds that are likely to fall into a known hole."""
