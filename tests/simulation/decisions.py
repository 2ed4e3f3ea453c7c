"""Where a simulated run gets its answers from: what happens next, and what goes wrong."""

import random
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Option = TypeVar("Option")


class Decisions:
    """Answers the questions of one run; the same answers make the same run.

    Args:
        draw: gives numbers from 0 to below 1. 0 is the tame answer to every question: first come,
            first served, and nothing goes wrong.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw

    @classmethod
    def from_seed(cls, seed: int) -> "Decisions":
        return cls(random.Random(seed).random)

    @classmethod
    def from_bytes(cls, answers: Iterable[int]) -> "Decisions":
        """Use one byte for each question, and tame answers when there are no more."""
        remaining = iter(answers)
        return cls(lambda: next(remaining, 0) / 256)

    def below(self, count: int) -> int:
        return int(self._draw() * count) if count > 1 else 0

    def one_of(self, options: Sequence[Option]) -> Option:
        return options[self.below(len(options))]

    def happens(self, probability: float) -> bool:
        return self._draw() > 1 - probability
