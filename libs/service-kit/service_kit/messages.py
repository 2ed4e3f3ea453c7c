"""Messages of a topic, which may be any bytes at all."""

import base64
import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from shared_models import CloudEvent, TaskEvent

# What publishing adds to an event. It differs each time that the same event is published.
ADDED_BY_PUBLISHING = {"pubsubname", "topic", "traceid", "traceparent", "tracestate"}
_NO_TEXT = re.compile(r"[^\t\n\r -\x7e\x85\xa0-\ud7ff\ue000-\U0010ffff]")


class Unprocessable(Exception):
    """A message that no retry can help; its text says why."""


def read_event(payload: bytes) -> CloudEvent:
    """Return the CloudEvent in a message.

    Raises:
        Unprocessable: there is none in it.
    """
    try:
        return CloudEvent.model_validate(from_json(payload, allow_inf_nan=False))
    except ValidationError as error:
        raise Unprocessable(f"It is not a CloudEvent: {complaints(error)}") from error
    except ValueError as error:
        raise Unprocessable(f"It is not a CloudEvent, as it is no JSON: {error}") from error


def type_of(payload: bytes) -> str | None:
    """Return the type of the event in a message, or None where none can be read."""
    try:
        event = from_json(payload, allow_inf_nan=False)
    except ValueError:
        return None
    type = event.get("type") if isinstance(event, dict) else None
    return type if isinstance(type, str) else None


def read_task_event(event: CloudEvent) -> TaskEvent:
    """Return what an event says of a task.

    Raises:
        Unprocessable: its data cannot be read, or are of another type than the event.
    """
    try:
        task_event = TaskEvent.model_validate(event.data)
    except ValidationError as error:
        raise Unprocessable(f"{event.type} could not be read: {complaints(error)}") from error
    if task_event.event_type != event.type:
        raise Unprocessable(
            f"{event.type} could not be read: its data say that it is {task_event.event_type}."
        )
    return task_event


def complaints(error: ValidationError) -> str:
    """Return what is wrong and where, without the input, which may be anything."""
    return "; ".join(
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
        for each in error.errors(include_url=False, include_context=False, include_input=False)[:10]
    )


def is_event(payload: bytes) -> bool:
    """Return whether there is a CloudEvent in a message."""
    try:
        read_event(payload)
    except Exception:
        return False
    return True


def shown_event(payload: bytes) -> dict[str, Any] | None:
    """Return the event in a message as it can be shown, or None where it cannot."""
    if not is_event(payload):
        return None
    event = from_json(payload, allow_inf_nan=False)
    shown = {name: each for name, each in event.items() if name not in ADDED_BY_PUBLISHING}
    try:
        # As deep as in a page, and without what JSON has no word for, such as 1e400.
        from_json(to_json([[shown]]), allow_inf_nan=False)
    except Exception:
        return None
    return shown


def as_text(payload: bytes) -> str:
    """Return a message as text, in base64 where it is none."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return base64.b64encode(payload).decode()
    return base64.b64encode(payload).decode() if _NO_TEXT.search(text) else text
