"""What a service says of its readiness."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

# Never through the proxy of a company: what is asked is on this machine.
_straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ANSWER_SECONDS = 2
STARTUP_SECONDS = 90
# After so long it is said what is waited for, and what is missing then stays missing.
PATIENCE_SECONDS = 3


class NeverReady(Exception):
    """Waiting is of no use; the text says why."""


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


class Wait:
    """A wait for something to get ready.

    Args:
        name: of what is waited for.
        why_not: asked again and again; None ends the wait.
        say: told once what is waited for, where that takes a while.
    """

    def __init__(
        self,
        name: str,
        why_not: Callable[[], NotReady | None],
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._name = name
        self._why_not = why_not
        self._say = say
        self._began = time.monotonic()
        self._reason: NotReady | None = None
        self._since = self._began
        self._is_said = False

    def is_over(self) -> bool:
        """Look once; return whether it is ready.

        Raises:
            NeverReady: something is missing that nobody is about to bring, or it takes too long.
        """
        reason, now = self._why_not(), time.monotonic()
        if reason is None:
            return True
        if reason != self._reason:
            self._reason, self._since, self._is_said = reason, now, False
        if now - self._began > STARTUP_SECONDS:
            late = f"{self._name} is not ready after {STARTUP_SECONDS} s"
            raise NeverReady(f"{late}: {reason.reason}")
        if now - self._since > PATIENCE_SECONDS:
            self._lose_patience(reason)
        return False

    def _lose_patience(self, reason: NotReady) -> None:
        if reason.is_missing:
            raise NeverReady(reason.reason)
        if not self._is_said:
            self._say(f"{self._name} is not ready yet: {reason.reason}")
            self._is_said = True
