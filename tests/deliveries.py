"""What a sidecar delivers to a bulk subscription, and what it is answered."""

import base64

from httpx2 import Response


def bulk(*events: object) -> dict[str, object]:
    return {"entries": [{"entryId": str(n), "event": each} for n, each in enumerate(events)]}


def raw_bulk(*payloads: bytes) -> dict[str, object]:
    """Return messages as a subscription with `rawPayload` gets them."""
    return bulk(*(base64.b64encode(payload).decode() for payload in payloads))


def statuses(answer: Response) -> list[str]:
    """Return what was answered for each event, in the order of delivery."""
    by_entry = {each["entryId"]: each["status"] for each in answer.json()["statuses"]}
    return [by_entry[str(n)] for n in range(len(by_entry))]
