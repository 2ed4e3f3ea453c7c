"""What is on a topic, read from the broker itself and not through the services."""

import json
from typing import Any

from redis import Redis


def published(redis: Redis, topic: str = "task-events") -> list[dict[str, Any]]:
    """Return the CloudEvents on `topic`, oldest first."""
    entries: Any = redis.xrange(topic)
    return [json.loads(fields["data"]) for _, fields in entries]


def published_of(redis: Redis, task_id: str) -> list[str]:
    """Return the types of the events about a task, in the order of its versions."""
    events = [event for event in published(redis) if event.get("subject") == task_id]
    return [event["type"] for event in sorted(events, key=lambda event: event["data"]["version"])]
