import asyncio
from collections.abc import Sequence

import pytest

from service_kit.micro_batches import MicroBatches


class Doubler:
    """Doubles numbers, one batch at a time, and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    async def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(numbers))
        await asyncio.sleep(0)
        return [ValueError("odd") if number % 2 else 2 * number for number in numbers]


async def test_a_lone_item_does_not_wait_for_others() -> None:
    work = Doubler()
    assert await MicroBatches(work).submit(4) == 8
    assert work.batches == [[4]]


async def test_items_that_arrive_meanwhile_share_the_next_batch() -> None:
    work = Doubler()
    batches = MicroBatches(work, workers=1)
    assert await asyncio.gather(*(batches.submit(2 * n) for n in range(5))) == [0, 4, 8, 12, 16]
    assert len(work.batches) == 1


async def test_a_batch_is_bounded_by_items_and_by_weight() -> None:
    by_items, by_weight = Doubler(), Doubler()
    bounded = MicroBatches(by_items, max_items=2, workers=1)
    heavy = MicroBatches(by_weight, workers=1, weight=lambda n: n, max_weight=8)
    await asyncio.gather(*(bounded.submit(4) for _ in range(5)))
    await asyncio.gather(*(heavy.submit(4) for _ in range(5)))
    assert [len(batch) for batch in by_items.batches] == [2, 2, 1]
    assert [len(batch) for batch in by_weight.batches] == [2, 2, 1]


async def test_an_error_reaches_the_caller_of_its_item_alone() -> None:
    batches = MicroBatches(Doubler(), workers=1)
    even, odd = await asyncio.gather(batches.submit(2), batches.submit(3), return_exceptions=True)
    assert even == 4
    assert isinstance(odd, ValueError)


async def test_a_failed_batch_fails_all_its_callers_and_the_next_one_works() -> None:
    failing = True

    async def work(items: Sequence[int]) -> Sequence[int]:
        if failing:
            raise OSError("down")
        return items

    batches = MicroBatches(work, workers=1)
    outcomes = await asyncio.gather(batches.submit(1), batches.submit(2), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OSError, OSError]
    failing = False
    assert await batches.submit(3) == 3


async def test_a_caller_that_gives_up_does_not_disturb_the_others() -> None:
    batches = MicroBatches(Doubler(), workers=1)
    impatient = asyncio.create_task(batches.submit(2))
    patient = asyncio.create_task(batches.submit(4))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert await patient == 8


async def test_an_item_that_comes_right_after_a_batch_is_not_forgotten() -> None:
    batches = MicroBatches(Doubler(), workers=1)
    async with asyncio.timeout(5):
        for number in range(0, 20, 2):
            assert await batches.submit(number) == 2 * number


async def test_an_item_whose_caller_gave_up_is_not_handled() -> None:
    work = Doubler()
    batches = MicroBatches(work, workers=1, max_items=1)
    callers = [asyncio.create_task(batches.submit(number)) for number in (2, 4, 6)]
    await asyncio.sleep(0)
    callers[1].cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    assert work.batches == [[2], [6]]
