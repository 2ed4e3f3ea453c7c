"""What an index stores: one head, and sealed pages behind it."""

from pydantic import BaseModel

Ranges = list[tuple[int, int]]
"""Numbers of pages, both ends of a range included."""


class SealedPage(BaseModel):
    ids: list[str | None] = []

    def fill(self, slot: int, entry: str) -> None:
        self.ids.extend([None] * (slot + 1 - len(self.ids)))
        self.ids[slot] = entry


class Head(SealedPage):
    number: int = 0
    live: Ranges = []
    """The sealed pages that still have ids."""

    def followed(self, live: Ranges) -> "Head":
        """Return the empty head that comes after this one."""
        return Head(number=self.number + 1, live=live)


def with_page(ranges: Ranges, number: int) -> Ranges:
    joined: Ranges = []
    for first, last in sorted([*ranges, (number, number)]):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def without_page(ranges: Ranges, number: int) -> Ranges:
    left: Ranges = []
    for first, last in ranges:
        if not first <= number <= last:
            left.append((first, last))
            continue
        if first < number:
            left.append((first, number - 1))
        if number < last:
            left.append((number + 1, last))
    return left
