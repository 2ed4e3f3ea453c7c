"""What is said of a message that was refused, and the topic that it is said on."""

import hashlib

from pydantic_core import to_json

from service_kit.keys import digest
from service_kit.messages import shown_event
from service_kit.ports import Publisher
from shared_models import MESSAGE_REFUSED, CloudEvent, Message, Refusal

MOST_BYTES = 64 * 1024
"""Of a larger message, only the first bytes are kept: a page may have a hundred of them."""
FIRST_BYTES = 1_000
LONGEST_REASON = 2_000
"""Characters."""


class DeadLetterTopic:
    """The way of the messages that an app refuses to the dead letters."""

    def __init__(self, publisher: Publisher, topic: str, app_id: str) -> None:
        self._publisher = publisher
        self._topic = topic
        self._app_id = app_id

    async def publish(self, message: Message, reason: str) -> None:
        """Have a message kept as a dead letter."""
        refusal = refusal_of(self._app_id, message, reason)
        await self._publisher.publish(
            self._topic,
            CloudEvent(
                id=refusal.id,
                source=self._app_id,
                type=MESSAGE_REFUSED,
                data=refusal.model_dump(mode="json"),
            ),
        )


def refusal_of(app_id: str | None, message: Message, reason: str) -> Refusal:
    """Return what is to be kept of a message.

    Args:
        app_id: the app that refused it; None where no app is known to have got it.
    """
    size = len(message.payload)
    kept = message.payload if size <= MOST_BYTES else message.payload[:FIRST_BYTES]
    return Refusal(
        id=letter_id(app_id, message),
        app_id=app_id,
        reason=reason,
        message=message.model_copy(update={"payload": kept}),
        size=size,
    )


def letter_id(app_id: str | None, message: Message) -> str:
    """Return the id of the dead letter of a message that an app refused.

    It is the same however often the same event was published, and another one for each app.
    """
    event = shown_event(message.payload)
    content = message.payload if event is None else to_json(dict(sorted(event.items())))
    origin = f"{app_id} {message.component} {message.topic}"
    return digest(f"{origin} {hashlib.sha256(content).hexdigest()}")
