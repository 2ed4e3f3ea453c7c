"""The guarantee while parts are killed. `make faults` does it longer, and in more ways."""

from pathlib import Path

from faults import campaign
from faults.campaign import Plan
from faults.injections import FAULTS

KILLS = [fault.name for fault in FAULTS if fault.is_kill]


async def test_kills_under_load_lose_invent_and_repeat_nothing(tmp_path: Path) -> None:
    plan = Plan(kills=1, others=0, seed=1, only=KILLS)
    run = await campaign.run(plan, tmp_path, lambda line, final: None)
    assert run.clean, run.faults
    assert [fault.injected for fault in run.faults] == [1] * len(KILLS)
    assert all(fault.acknowledged for fault in run.faults)
