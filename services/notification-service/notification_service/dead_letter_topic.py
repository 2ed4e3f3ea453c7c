"""What arrives on the dead-letter topic: what apps refused, and what sidecars gave up on."""

import asyncio
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_core import from_json, to_json

from notification_service.dead_letters import DeadLetters
from notification_service.subscribers import Subscribers
from notification_service.undelivered import Undelivered
from service_kit.messages import is_event, type_of
from service_kit.refusals import LONGEST_REASON, MOST_BYTES, refusal_of
from shared_models import MESSAGE_REFUSED, Message, Refusal

MOST_BYTES_BEFORE = 256 * 1024
"""What the version before kept of a message."""
UNKNOWN = "It came to the dead-letter topic without a reason, and is of no topic of this system."
TOO_LARGE = "A sidecar gave up on it, and it is too large to be given to its app again."
REASON, APP_ID = "deadletterreason", "deadletterappid"
"""Marks by which the version before sent the events that it refused."""


class _ArrivedRefusal(Refusal):
    """A refusal within the bounds of ours. What is beyond them is kept as a message of its own."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    app_id: Annotated[str, Field(max_length=200)] | None
    reason: Annotated[str, Field(max_length=LONGEST_REASON)]

    @field_validator("message")
    @classmethod
    def _is_bounded(cls, message: Message) -> Message:
        if len(message.payload) > MOST_BYTES_BEFORE or len(message.component + message.topic) > 400:
            raise ValueError("has more bytes than a refused message may have")
        return message


class _RefusalEvent(BaseModel):
    data: _ArrivedRefusal


class DeadLetterTopicHandler:
    """Takes every message of the dead-letter topic, whatever it is."""

    def __init__(
        self, subscribers: Subscribers, undelivered: Undelivered, dead_letters: DeadLetters
    ) -> None:
        self._subscribers = subscribers
        self._undelivered = undelivered
        self._dead_letters = dead_letters

    async def handle(self, payload: bytes) -> None:
        refusal = self._refusal(payload)
        if refusal is not None:
            await self._dead_letters.keep(refusal)
            return
        message = self._subscribers.with_origin(payload)
        apps = self._subscribers.of(message)
        if not apps or len(payload) > MOST_BYTES:
            await self.keep(message, TOO_LARGE if apps else UNKNOWN)
            return
        await asyncio.gather(*(self._undelivered.add(app_id, message) for app_id in apps))

    async def keep(self, message: Message, reason: str) -> None:
        """Keep a message that is for no app, or that could not be handled here."""
        await self._dead_letters.keep(refusal_of(None, message, reason))

    def _refusal(self, payload: bytes) -> Refusal | None:
        """Return what a message says that an app refused, if it says that."""
        if type_of(payload) == MESSAGE_REFUSED:
            try:
                return _RefusalEvent.model_validate_json(payload).data
            except ValidationError:
                return None
        return self._refusal_of_the_version_before(payload) if is_event(payload) else None

    def _refusal_of_the_version_before(self, payload: bytes) -> Refusal | None:
        event: dict[str, Any] = from_json(payload)
        reason, app_id = event.pop(REASON, None), event.pop(APP_ID, None)
        if reason is None:
            return None
        message = self._subscribers.with_origin(to_json(event))
        return refusal_of(app_id, message, str(reason)[:LONGEST_REASON])
