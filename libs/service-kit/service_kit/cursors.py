"""Where the next page of a list begins."""

import base64
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from service_kit.keys import digest

Filters = Sequence[str | int | None]

_NOT_OF_THIS_LIST = (
    "The cursor is not of this list with these filters; use it as it was given out, or leave it out"
    " to begin with the newest."
)


class Place(NamedTuple):
    """Where an id stands in an index."""

    page: int
    slot: int


class UnknownCursor(ValueError):
    """A cursor that was not given out for this list with these filters."""

    def __init__(self) -> None:
        super().__init__(_NOT_OF_THIS_LIST)


class Cursors:
    """The cursors of one list with some filters: a place, and a mark of whose it is."""

    def __init__(self, name: str, filters: Filters) -> None:
        self._mark = digest(json.dumps([name, *filters]))[:8]

    def after(self, place: Place | None) -> str | None:
        """Return the cursor of what follows `place`; there is none of what follows nothing."""
        if place is None:
            return None
        text = f"{place.page}.{place.slot}.{self._mark}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def parse(self, cursor: str) -> Place:
        """Return the place that `after` made `cursor` of.

        Raises:
            UnknownCursor: it did not.
        """
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        except ValueError as error:
            raise UnknownCursor from error
        match = re.match(r"([0-9]{1,9})\.([0-9]{1,9})\.", text, re.ASCII)
        place = Place(int(match[1]), int(match[2])) if match else None
        if place is None or self.after(place) != cursor:
            raise UnknownCursor
        return place
