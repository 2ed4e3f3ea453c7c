"""Many small worlds, one for each seed, and what broke in them."""

import re
from collections.abc import Iterable
from contextlib import ExitStack, nullcontext
from typing import NamedTuple

from tests.simulation.broken_code import BREAKS
from tests.simulation.decisions import Decisions
from tests.simulation.scenarios import small_limits, small_world, starts
from tests.simulation.simulated_world import World


class Rules(NamedTuple):
    """What a world is held to, beyond what all are."""

    redis: bool = False
    """Also on a store that forgets the ETags of removed keys."""
    every_notification_goes_out: bool = False
    """Also when notification-service is hit by a fault."""


ALWAYS = Rules()
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
    starts()


def explore(seeds: Iterable[int], rules: Rules = ALWAYS, broken: str | None = None) -> Explored:
    """Run the world of each seed until one breaks a rule.

    Args:
        broken: names the way in which the services are broken meanwhile.
    """
    interleavings: set[int] = set()
    with BREAKS[broken]() if broken else nullcontext():
        for seed in seeds:
            world, violations = run(seed, rules)
            if violations:
                return Explored(interleavings, Found(seed, violations, world.story()))
            interleavings.add(world.interleaving())
    return Explored(interleavings, None)


def run(seed: int, rules: Rules) -> tuple[World, list[str]]:
    try:
        world = small_world(Decisions.from_seed(seed), redis=rules.redis)
        world.run()
        return world, world.check(every_notification_goes_out=rules.every_notification_goes_out)
    except BaseException as error:
        error.add_note(f"SIMULATION_SEED={seed}")
        raise
