"""Waiting for an outcome instead of sleeping a guess."""

import time
from collections.abc import Callable
from typing import TypeVar

Outcome = TypeVar("Outcome")


def eventually(look: Callable[[], Outcome], within: float = 10) -> Outcome:
    """Return what `look` returns as soon as it is true.

    Args:
        within: seconds after which the last look is an error.
    """
    deadline = time.monotonic() + within
    while not (outcome := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {outcome!r} after {within} s")
        time.sleep(0.02)
    return outcome
