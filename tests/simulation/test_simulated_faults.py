"""The rules hold, whatever goes wrong and in whatever order things happen.

An interleaving is all that happens in one small world until nothing can happen any more: the
requests of its clients, the effects and answers of all calls, the deliveries, timers and faults, in
their order. Two worlds count twice only if these differ. `simulated_world` says what can go wrong.

A failure names its seed. `SIMULATION_SEED=<seed> pytest tests/simulation` runs that world alone,
`SIMULATION_START=<seed>` explores from another seed on than 0.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice

import pytest

from tests.simulation.exploration import Found, explore, explore_hole, run
from tests.simulation.ledger import Hole
from tests.simulation.scenarios import small_limits, world_of_late_saves

INTERLEAVINGS = 100_000
SEEDS_AT_ONCE = 500
SEEDS_FOR_A_HOLE = 3_000
# It takes a save that arrives long after its writer gave up, when the task was deleted and its key
# removed. The exploration leaves out what it excuses.
SEEDS_OF_HOLES = {
    # The looks are the memory of one process. Where it stops within a minute of the removal, what
    # arrives after that stays.
    Hole.LOOKS_CUT_SHORT: 211,
}
ONE_SEED = os.environ.get("SIMULATION_SEED")
FIRST_SEED = int(ONE_SEED or os.environ.get("SIMULATION_START", "0"))


def test_100000_interleavings_keep_the_rules(
    workers: ProcessPoolExecutor, report: list[str]
) -> None:
    began = time.monotonic()
    seen: set[int] = set()
    for interleavings, found in _explored(workers):
        _show(found)
        seen |= interleavings
        if ONE_SEED or len(seen) >= INTERLEAVINGS:
            break
    took = time.monotonic() - began
    report.append(f"simulation: {len(seen)} interleavings kept the rules, in {took:.0f} s")


def test_late_saves_of_removed_tasks_keep_the_rules(workers: ProcessPoolExecutor) -> None:
    _show(workers.submit(explore, range(3_000), None, world_of_late_saves).result().found)


@pytest.mark.parametrize(("hole", "seed"), SEEDS_OF_HOLES.items(), ids=str)
@pytest.mark.xfail(strict=True, raises=pytest.fail.Exception, reason="see `SEEDS_OF_HOLES`")
def test_a_known_hole_is_closed(hole: Hole, seed: int, workers: ProcessPoolExecutor) -> None:
    _show(workers.submit(explore_hole, [seed, *range(SEEDS_FOR_A_HOLE)], hole).result())


def test_the_same_seed_makes_the_same_world() -> None:
    with small_limits():
        for seed in range(FIRST_SEED, FIRST_SEED + 100):
            (one, _), (other, _) = run(seed), run(seed)
            assert one.interleaving() == other.interleaving()


def _explored(workers: ProcessPoolExecutor) -> Iterator[tuple[set[int], Found | None]]:
    """Yield what came of one row of seeds after another, for as long as it is asked for."""
    if ONE_SEED:
        yield explore([FIRST_SEED])
        return
    rows = (
        workers.submit(explore, range(start, start + SEEDS_AT_ONCE))
        for start in count(FIRST_SEED, SEEDS_AT_ONCE)
    )
    under_way = list(islice(rows, 2 * (os.cpu_count() or 1)))
    while True:
        yield under_way.pop(0).result()
        under_way.append(next(rows))


def _show(found: Found | None) -> None:
    if found:
        pytest.fail(str(found), pytrace=False)
