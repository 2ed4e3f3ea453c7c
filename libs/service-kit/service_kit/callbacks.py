"""What the handler of an event answers the own sidecar."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Container
from enum import StrEnum
from typing import Any

import structlog
from fastapi import Request
from pydantic import BaseModel, ValidationError

from service_kit.keys import digest
from service_kit.ports import Conflict, Publisher, Unavailable
from shared_models import CloudEvent

log = structlog.get_logger()

CALLBACKS = "/events/"
"""Start of the paths that sidecars deliver events to."""
DEAD_LETTER_REASON = "deadletterreason"
DEAD_LETTER_APP_ID = "deadletterappid"
NOT_A_CLOUD_EVENT = "message.not-a-cloud-event"
"""Type of the dead letters that wrap a message that is no CloudEvent."""


class Outcome(StrEnum):
    """What the sidecar is to do with a message."""

    SUCCESS = "SUCCESS"
    RETRY = "RETRY"


Answer = dict[str, list[dict[str, str]]]


class _BulkEntry(BaseModel):
    entryId: str  # noqa: N815, the sidecar's name
    event: Any = None

    def is_of(self, types: Container[str]) -> bool:
        type = self.event.get("type") if isinstance(self.event, dict) else None
        return isinstance(type, str) and type in types


class _BulkDelivery(BaseModel):
    """What the sidecar posts for a bulk subscription.

    Source: https://docs.dapr.io/developing-applications/building-blocks/pubsub/pubsub-bulk/
    """

    entries: list[_BulkEntry]


class Unprocessable(Exception):
    """An event that no retry can help; its text says why."""


class DeadLetterTopic:
    """The way to the dead-letter topic, with a reason."""

    def __init__(self, publisher: Publisher, topic: str, app_id: str) -> None:
        self._publisher = publisher
        self._topic = topic
        self._app_id = app_id

    async def publish(self, event: CloudEvent, reason: str) -> None:
        marks = {DEAD_LETTER_REASON: reason, DEAD_LETTER_APP_ID: self._app_id}
        await self._publisher.publish(self._topic, event.model_copy(update=marks))


async def settle(
    request: Request,
    handle: Callable[[CloudEvent], Awaitable[None]],
    *,
    types: Container[str] | None = None,
) -> Answer:
    """Run the handler of a bulk subscription, and say of each message what to do with it.

    A part that does not answer is worth a retry; whatever else goes wrong is not. Such an event is
    published to the dead-letter topic with the reason, and so handled.

    Every subscription is a bulk one: of a single message, Dapr 1.18 may take the failed delivery to
    a process that just died for a success. The sidecar delivers the next bulk once this one is
    settled, so one message that is retried holds up those behind it. Nothing is dropped: Dapr would
    look for a dropped message at its place in the bulk as it came, after it took out what is no
    JSON or was settled before.

    Args:
        types: the types of the events that are of interest; None for all, and for what is none.
    """
    delivery = _BulkDelivery.model_validate_json(await request.body())
    topic: DeadLetterTopic = request.state.dead_letter_topic

    async def settle_entry(entry: _BulkEntry) -> Outcome:
        if types is not None and not entry.is_of(types):
            return Outcome.SUCCESS
        try:
            event = CloudEvent.model_validate(entry.event)
        except ValidationError as error:
            log.error("not_a_cloud_event", reason=str(error))
            return await _dead_letter(topic, _wrapped(entry.event), error)
        try:
            await handle(event)
        except (Unavailable, Conflict) as error:
            log.warning("event_retried", reason=str(error), **_names(event))
            return Outcome.RETRY
        except Exception as error:
            understood = isinstance(error, Unprocessable | ValidationError)
            log.error("event_failed", reason=str(error), exc_info=not understood, **_names(event))
            return await _dead_letter(topic, event, error)
        return Outcome.SUCCESS

    return await _each(delivery, settle_entry)


async def settle_raw(request: Request, handle: Callable[[bytes], Awaitable[None]]) -> Answer:
    """Run the handler of a bulk subscription with `rawPayload`, which has no dead-letter topic.

    What no retry can help is logged and gone.
    """

    async def settle_entry(entry: _BulkEntry) -> Outcome:
        try:
            await handle(base64.b64decode(entry.event))
        except (Unavailable, Conflict) as error:
            log.warning("message_retried", reason=str(error))
            return Outcome.RETRY
        except Exception as error:
            log.error("message_failed", reason=str(error), exc_info=True)
        return Outcome.SUCCESS

    return await _each(_BulkDelivery.model_validate_json(await request.body()), settle_entry)


async def _each(
    delivery: "_BulkDelivery", settle_entry: Callable[["_BulkEntry"], Awaitable[Outcome]]
) -> Answer:
    outcomes = await asyncio.gather(*map(settle_entry, delivery.entries))
    return {
        "statuses": [
            {"entryId": entry.entryId, "status": outcome}
            for entry, outcome in zip(delivery.entries, outcomes, strict=True)
        ]
    }


def _wrapped(message: object) -> CloudEvent:
    """Return an event about a message that is none; the same message gives the same event."""
    return CloudEvent(
        id=digest(json.dumps(message)), source="unknown", type=NOT_A_CLOUD_EVENT, data=message
    )


async def _dead_letter(topic: DeadLetterTopic, event: CloudEvent, error: Exception) -> Outcome:
    if isinstance(error, Unprocessable):
        reason = str(error)
    elif event.type == NOT_A_CLOUD_EVENT:
        reason = f"It is not a CloudEvent: {error}"
    elif isinstance(error, ValidationError):
        reason = f"{event.type} could not be read: {error}"
    else:
        reason = f"{type(error).__name__}: {error}"
    try:
        await topic.publish(event, reason)
    except Unavailable:
        return Outcome.RETRY
    return Outcome.SUCCESS


def as_text(payload: bytes) -> str:
    """Return `payload` as text, in base64 where it is not UTF-8."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return base64.b64encode(payload).decode()


def _names(event: CloudEvent) -> dict[str, str]:
    """Return what identifies an event in the log."""
    trace = (event.model_extra or {}).get("traceparent")
    if isinstance(trace, str) and trace.count("-") == 3:
        return {"event_id": event.id, "trace_id": trace.split("-")[1]}
    return {"event_id": event.id}
