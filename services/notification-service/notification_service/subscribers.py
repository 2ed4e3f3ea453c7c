"""Which app takes the messages of which topic."""

from pydantic_core import from_json

from notification_service.settings import Settings
from service_kit.messages import is_event
from shared_models import CHANGES_INTENDED, Message


class Subscribers:
    """The apps of this system, by the topics that they are subscribed to."""

    def __init__(self, settings: Settings) -> None:
        self._events = (settings.pubsub, settings.task_events_topic)
        self._intents = (settings.changelog, settings.task_changes_topic)
        self._dead_letters = (settings.pubsub, settings.dead_letter_topic)
        self._apps = {
            self._events: [settings.task_api_app_id, settings.app_id],
            self._intents: [settings.task_api_app_id],
        }

    def of(self, message: Message) -> list[str]:
        """Return the app-ids of those who take the topic of a message."""
        return self._apps.get((message.component, message.topic), [])

    def with_origin(self, payload: bytes) -> Message:
        """Return a message with the topic that it was first published to.

        An event says it where a sidecar has published it; else its type tells. What is no event is
        of the dead-letter topic, where it was found.
        """
        component, topic = self._origin(payload)
        return Message(component=component, topic=topic, payload=payload)

    def _origin(self, payload: bytes) -> tuple[str, str]:
        if not is_event(payload):
            return self._dead_letters
        event = from_json(payload)
        topic = str(event.get("topic"))
        of_topic = next((each[0] for each in self._apps if each[1] == topic), self._events[0])
        said = (str(event.get("pubsubname", of_topic)), topic)
        if "topic" in event and said != self._dead_letters:
            return said
        return self._intents if event["type"] == CHANGES_INTENDED else self._events
