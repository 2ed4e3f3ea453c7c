"""Points in time: timezone-aware, UTC, RFC 3339 on the wire."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


def now() -> datetime:
    """Return the present moment in UTC, with microseconds."""
    return datetime.now(UTC)
