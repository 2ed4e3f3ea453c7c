"""How far somebody has got in a list whose entries do not become ready in their order."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from service_kit.cursors import Place
from service_kit.index_pages import PAGE_SIZE

MOST_PAGES = 20
"""Pages behind the newest one that a position may have open places on."""
PATTERN = (
    rf"^[a-z-]{{1,40}}~[0-9]{{1,9}}\.[0-9]{{1,9}}"
    rf"(~[0-9]{{1,9}}\.[0-9a-f]{{1,{PAGE_SIZE // 4}}}){{0,{MOST_PAGES + 1}}}$"
)
_NOTHING: Mapping[int, int] = MappingProxyType({})


class UnknownPosition(ValueError):
    """Text that names no position of this list."""


class Position(NamedTuple):
    """All entries before `next` are passed, but for those that are still `open`.

    `open` has, for each page with such entries, a number whose bits are the slots.
    """

    next: Place
    open: Mapping[int, int] = _NOTHING

    def has(self, place: Place) -> bool:
        """Return whether the entry at `place` was passed."""
        return not self._missing(place.page) >> place.slot & 1

    def passing(self, place: Place) -> "Position":
        """Return the position of who has passed the entry at `place` as well."""
        return self._with(place, self.open.get(place.page, 0) & ~(1 << place.slot))

    def leaving_open(self, place: Place) -> "Position":
        """Return the position of who comes back to the entry at `place` later."""
        return self._with(place, self.open.get(place.page, 0) | 1 << place.slot)

    def __or__(self, other: object) -> "Position":
        """Return the position of who has passed what either has passed."""
        assert isinstance(other, Position)
        next = max(self.next, other.next)
        open: dict[int, int] = {}
        for page in {*self.open, *other.open}:
            missing = self._missing(page) & other._missing(page)
            if page == next.page:
                missing &= (1 << next.slot) - 1
            if missing:
                open[page] = missing
        return Position(next, open)

    @property
    def first(self) -> Place:
        """The first place that was not passed."""
        if not self.open:
            return self.next
        page = min(self.open)
        return Place(page, (self.open[page] & -self.open[page]).bit_length() - 1)

    def name(self, kind: str) -> str:
        """Return the position in the list `kind` as text, which `parse_position` reads."""
        open = (f"{page}.{slots:x}" for page, slots in sorted(self.open.items()))
        return "~".join((kind, f"{self.next.page}.{self.next.slot}", *open))

    def _missing(self, page: int) -> int:
        """Return the slots of a page that were not passed; beyond `next` that is all of them."""
        open = self.open.get(page, 0)
        if page == self.next.page:
            return open | -1 << self.next.slot
        return open if page < self.next.page else -1

    def _with(self, place: Place, slots: int) -> "Position":
        next = max(self.next, after(place))
        open = {page: each for page, each in self.open.items() if page != place.page}
        return Position(next, {**open, place.page: slots} if slots else open)


def after(place: Place) -> Place:
    return Place(place.page, place.slot + 1)


def parse_position(text: str, kind: str) -> Position:
    """Return the position that `text` names.

    Raises:
        UnknownPosition: it is none of the list `kind`.
    """
    if re.fullmatch(PATTERN, text, re.ASCII) and text.startswith(f"{kind}~"):
        (page, slot), *rest = (place.split(".") for place in text.split("~")[1:])
        open = {int(page): int(slots, 16) for page, slots in rest}
        if max(open, default=0) <= int(page):
            return Position(Place(int(page), int(slot)), open)
    raise UnknownPosition(
        f"{text!r} is the id of no event of this stream; use it as it was given out, or leave it"
        " out to begin now."
    )
