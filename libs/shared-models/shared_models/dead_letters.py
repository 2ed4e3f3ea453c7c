"""Messages that could not be handled: how they travel, what is asked and told about them."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared_models.moments import Moment

MESSAGE_REFUSED = "message.refused"
"""Type of the events on the dead-letter topic that carry a `Refusal`."""


class Message(BaseModel):
    """A message as the broker has it, and where it came from.

    The payload may be any bytes; in JSON they are base64.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    component: str
    topic: str
    payload: bytes


class Refusal(BaseModel):
    """Says of a message that an app cannot handle it, and that no retry would help."""

    id: str
    """The same whenever the app refuses the message."""
    app_id: str | None
    """None where no app is known to have got it."""
    reason: str
    message: Message
    size: int
    """Bytes of the message. The payload may have only the first of them."""


class Fate(StrEnum):
    """What becomes of a message that an app was given."""

    HANDLED = "handled"
    REFUSED = "refused"
    """No retry can help."""
    LATER = "later"
    """A part that it needs is away."""


class Verdict(BaseModel):
    """What an app says of a message that it was given, and why."""

    fate: Fate
    reason: str = ""


class DeadLetter(BaseModel):
    """A message that an app could not handle.

    `event` is the CloudEvent, without what the broker's side added to it. It is None where the
    message is not one or cannot be shown as one; then `payload` has its bytes as text, in base64
    where they are no text.
    """

    id: str
    reason: str
    app_id: str | None = None
    """The app that refused it; None where no app is known to have got it."""
    component: str | None = None
    topic: str | None = None
    event: dict[str, Any] | None = None
    payload: str | None = None
    size: int
    """Bytes of the message. Of a large one only the first are kept."""
    received_at: Moment


class Replayed(BaseModel):
    """What became of the dead letters that were replayed at once."""

    count: int
    """Those that are handled now, and no dead letters any more."""
    kept: int
    """Those that stay, each with what was said of it this time."""
    next_cursor: str | None = None
    """Where the next call goes on; None at the end."""


class Discarded(BaseModel):
    """How many dead letters were discarded at once, and where the next call goes on."""

    count: int
    next_cursor: str | None = None
