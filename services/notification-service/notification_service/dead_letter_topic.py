"""What arrives on the dead-letter topic: what apps refused, and what sidecars gave up on."""

import asyncio
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from notification_service.dead_letters import DeadLetters
from notification_service.subscribers import Subscribers
from notification_service.undelivered import Undelivered
from service_kit.messages import is_event, type_of
from service_kit.refusals import MOST_BYTES, refusal_of
from shared_models import MESSAGE_REFUSED, Message, Refusal

UNKNOWN = "It came to the dead-letter topic without a reason, and is of no topic of this system."
REASON, APP_ID = "deadletterreason", "deadletterappid"
"""Marks by which the version before sent the events that it refused."""


class _RefusalEvent(BaseModel):
    data: Refusal


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
            await self.keep(message, UNKNOWN)
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
        return refusal_of(app_id, message, str(reason))
