"""What no subscription could handle: why, and a way back."""

import hashlib
import json

from pydantic import ValidationError

from service_kit.callbacks import (
    DEAD_LETTER_APP_ID,
    DEAD_LETTER_REASON,
    NOT_A_CLOUD_EVENT,
    as_text,
)
from service_kit.ports import Publisher, StateStore
from service_kit.records import Records
from shared_models import CloudEvent, DeadLetter, Page
from shared_models.moments import now

UNDELIVERED = "The sidecar could not deliver it to the subscription."
MOST_BYTES = 100_000
KEPT_BYTES = 1_000
# What the broker's side adds to an event on its way, next to the marks of the dead letter.
ADDED_ON_THE_WAY = {
    DEAD_LETTER_APP_ID,
    DEAD_LETTER_REASON,
    "pubsubname",
    "topic",
    "traceid",
    "traceparent",
    "tracestate",
}


class DeadLetterNotFound(Exception):
    """No dead letter has this id."""


class NotReplayable(Exception):
    """The message was not an event, so there is no topic that it could go back to."""


class DeadLetters:
    """The dead letters of both services.

    Args:
        topic: where replayed events go.
    """

    def __init__(self, store: StateStore, publisher: Publisher, topic: str) -> None:
        self._records = Records(store, "dead-letter", DeadLetter)
        self._publisher = publisher
        self._topic = topic

    async def add(self, payload: bytes) -> None:
        """Keep a message, given as it was on the dead-letter topic; the same one is kept once."""
        id = hashlib.sha256(payload).hexdigest()[:32]
        await self._records.add(id, _dead_letter(id, payload))

    async def find(self, limit: int, cursor: str | None = None) -> Page[DeadLetter]:
        """Return a page of dead letters, the last to arrive first."""
        return await self._records.newest_first(limit, cursor)

    async def replay(self, id: str) -> None:
        """Publish the event again and forget the dead letter.

        All subscribers get it again; those that handled it know its id and drop it.
        """
        letter = await self._get(id)
        if letter.event is None:
            raise NotReplayable("The message is not a CloudEvent: it can only be discarded.")
        await self._publisher.publish(self._topic, CloudEvent.model_validate(letter.event))
        await self._records.remove(id)

    async def discard(self, id: str) -> None:
        await self._get(id)
        await self._records.remove(id)

    async def _get(self, id: str) -> DeadLetter:
        letter = await self._records.get(id)
        if letter is None:
            raise DeadLetterNotFound(f"There is no dead letter {id}.")
        return letter


def _dead_letter(id: str, payload: bytes) -> DeadLetter:
    if len(payload) > MOST_BYTES:
        return DeadLetter(
            id=id,
            reason=f"It has {len(payload)} bytes, too many to keep; these are the first.",
            payload=as_text(payload[:KEPT_BYTES]),
            received_at=now(),
        )
    try:
        envelope = CloudEvent.model_validate_json(payload).model_dump(
            mode="json", exclude_none=True
        )
    except ValidationError:
        return DeadLetter(id=id, reason=UNDELIVERED, payload=as_text(payload), received_at=now())
    if envelope["type"] == NOT_A_CLOUD_EVENT:
        return DeadLetter(
            id=id,
            reason=envelope.get(DEAD_LETTER_REASON, UNDELIVERED),
            app_id=envelope.get(DEAD_LETTER_APP_ID),
            payload=json.dumps(envelope.get("data")),
            received_at=now(),
        )
    event = {name: value for name, value in envelope.items() if name not in ADDED_ON_THE_WAY}
    return DeadLetter(
        id=id,
        reason=envelope.get(DEAD_LETTER_REASON, UNDELIVERED),
        app_id=envelope.get(DEAD_LETTER_APP_ID),
        event=event,
        received_at=now(),
    )
