"""What a service says of its readiness."""

import json
import urllib.error
import urllib.request
from typing import NamedTuple

# Never through the proxy of a company: what is asked is on this machine.
_straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ANSWER_SECONDS = 2


class NotReady(NamedTuple):
    """Why something is not ready."""

    reason: str
    is_missing: bool = False
    """Something is not there that nobody is about to bring."""


def not_ready(url: str) -> NotReady | None:
    """Return what the readiness of a service at `url` says against it, or None."""
    try:
        with _straight.open(url, timeout=ANSWER_SECONDS):
            return None
    except urllib.error.HTTPError as answer:
        return _reason(answer.read())
    except OSError as error:
        return NotReady(f"{url} does not answer: {error}")


def _reason(body: bytes) -> NotReady:
    try:
        problem = json.loads(body)
        return NotReady(str(problem["detail"]), bool(problem.get("missing")))
    except (ValueError, TypeError, KeyError):
        return NotReady(body.decode(errors="replace")[:500])
