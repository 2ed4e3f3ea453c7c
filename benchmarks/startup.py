"""From the start to ready, with every program in the cache."""

import time
from collections.abc import Callable
from pathlib import Path

from tools.local_system import LocalSystem


def measure(folder: Path, *, rounds: int, progress: Callable[[str], None]) -> list[float]:
    """Return the seconds of each start, each with an empty state."""
    seconds = []
    for number in range(rounds):
        system = LocalSystem.for_test(folder / str(number))
        began = time.monotonic()
        with system:
            seconds.append(time.monotonic() - began)
    progress(f"ready after {', '.join(f'{each:.1f}' for each in seconds)} s")
    return seconds
