"""Points in time: timezone-aware, UTC, RFC 3339 on the wire."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Strict

_RFC_3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3]):[0-5]\d:(?P<second>[0-5]\d|60)(?:\.\d+)?"
    r"(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def _from_text(value: object) -> object:
    """Return the time that a text says; what is neither text nor number is left to the type."""
    if not isinstance(value, str | int | float):
        return value
    text = str(value).upper()
    match = _RFC_3339.fullmatch(text)
    if not match:
        raise ValueError("must be RFC 3339 with a zone, such as 2027-01-31T09:00:00Z")
    if match["second"] == "60":
        return _after_leap_second(text, match.start("second"))
    return datetime.fromisoformat(text)


def _after_leap_second(text: str, position: int) -> datetime:
    before = datetime.fromisoformat(f"{text[:position]}59{text[position + 2 :]}")
    after = _in_utc(before, plus=timedelta(seconds=1))
    if (after.day, after.hour, after.minute) != (1, 0, 0):
        raise ValueError("a second 60 must be the last one of a month in UTC")
    return after


def _in_utc(moment: datetime, plus: timedelta = timedelta(0)) -> datetime:
    try:
        return moment.astimezone(UTC) + plus
    except OverflowError as error:
        raise ValueError("must lie in the years 1 to 9999 in UTC") from error


Moment = Annotated[
    AwareDatetime,
    Strict(),
    BeforeValidator(_from_text),
    AfterValidator(lambda moment: _in_utc(moment)),
]
"""A time that comes in as RFC 3339 with a zone, and in no other way.

`t` and `z` may be small letters, and the fraction may have any number of digits: those behind the
microsecond are cut off. A leap second, which no calendar of ours has, is read as POSIX reads it:
as the second that follows it.
"""


def now() -> datetime:
    """Return the present moment in UTC, with microseconds."""
    return datetime.now(UTC)
