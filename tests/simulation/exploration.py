"""Many small worlds, one for each seed, and what broke in them."""

import asyncio
import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack, nullcontext
from typing import NamedTuple
from unittest.mock import patch

from tests.simulation.broken_code import BREAKS
from tests.simulation.decisions import Decisions
from tests.simulation.ledger import Hole
from tests.simulation.scenarios import WORLDS_OF_HOLES, small_limits, small_world, starts
from tests.simulation.simulated_world import World

ID = re.compile("[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Found(NamedTuple):
    seed: int
    violations: list[str]
    story: str

    def __str__(self) -> str:
        text = "\n".join([f"SIMULATION_SEED={self.seed}", *self.violations, "", self.story])
        for number, id in enumerate(dict.fromkeys(ID.findall(text))):
            text = text.replace(id, f"<{number}>")
        return text


class Explored(NamedTuple):
    interleavings: set[int]
    """One number for each way that things went."""
    found: Found | None
    """The first that broke a rule; nothing was explored after it."""


_for_good = ExitStack()


def prepare_worker() -> None:
    """Get a process that does nothing else ready to explore."""
    _for_good.enter_context(small_limits())
    # A seventh of the time goes into a list of all tasks that nobody asks for.
    for name in ("_all_tasks", "_scheduled_tasks"):  # before and since Python 3.12
        tasks = getattr(asyncio.tasks, name, None)
        if tasks is not None:
            _for_good.enter_context(patch.object(tasks, "add", lambda task: None))
    starts()


def explore(
    seeds: Iterable[int],
    broken: str | None = None,
    make_world: Callable[[Decisions], World] = small_world,
) -> Explored:
    """Run the world of each seed until one breaks a rule, but for the known holes.

    Args:
        broken: names the way in which the services are broken meanwhile.
    """
    interleavings: set[int] = set()
    with BREAKS[broken]() if broken else nullcontext():
        for seed in seeds:
            world, violations = run(seed, make_world)
            if not violations:
                interleavings.add(world.interleaving())
            elif not world.ledger.hole():
                return Explored(interleavings, Found(seed, violations, world.story()))
    return Explored(interleavings, None)


def explore_hole(seeds: Iterable[int], hole: Hole) -> Found | None:
    """Return the first world that breaks a rule, of those made to fall into a hole."""
    for seed in seeds:
        world, violations = run(seed, WORLDS_OF_HOLES[hole])
        if violations and world.ledger.hole() is hole:
            return Found(seed, violations, world.story())
    return None


def run(
    seed: int, make_world: Callable[[Decisions], World] = small_world
) -> tuple[World, list[str]]:
    try:
        world = make_world(Decisions.from_seed(seed))
        world.run()
        return world, world.check()
    except BaseException as error:
        error.add_note(f"SIMULATION_SEED={seed}")
        raise
