"""What a sidecar delivers to a subscription, and what it is answered."""

import base64
import json

from httpx2 import Response

ON = {"task-changes": "changelog", "task-events": "pubsub", "task-events-dead": "pubsub"}
"""The component that each topic is on."""


def bulk(topic: str, *messages: object) -> dict[str, object]:
    """Return a delivery: bytes as they are, all else as JSON."""
    payloads = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in messages]
    return {
        "id": "",
        "topic": topic,
        "pubsubname": ON[topic],
        "type": "com.dapr.event.sent.bulk",
        "metadata": {"pubsubName": ON[topic]},
        "entries": [
            {
                "entryId": str(n),
                "event": base64.b64encode(payload).decode(),
                "contentType": "application/octet-stream",
                "metadata": None,
            }
            for n, payload in enumerate(payloads)
        ],
    }


def statuses(answer: Response) -> list[str]:
    """Return what was answered for each message, in the order of delivery."""
    by_entry = {each["entryId"]: each["status"] for each in answer.json()["statuses"]}
    return [by_entry[str(n)] for n in range(len(by_entry))]
