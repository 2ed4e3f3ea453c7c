"""What a process remembers of late, within bounds."""

from collections import OrderedDict
from typing import TypeVar

Value = TypeVar("Value")

MOST_REMEMBERED = 5_000


class Recent(OrderedDict[str, Value]):
    """A dict that forgets the oldest of more than 5,000 keys."""

    def __setitem__(self, key: str, value: Value) -> None:
        super().__setitem__(key, value)
        if len(self) > MOST_REMEMBERED:
            self.popitem(last=False)
