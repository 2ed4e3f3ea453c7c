"""Calls from the own sidecar: who may make them, and what an event's handler answers."""

import base64
import json
import secrets
from collections.abc import Awaitable, Callable
from enum import StrEnum

import structlog
from fastapi import Request
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from service_kit.ports import Conflict, Publisher, Unavailable
from shared_models import CloudEvent

log = structlog.get_logger()

CALLBACKS = "/events/"
"""Start of the paths that sidecars deliver events to."""
DEAD_LETTER_REASON = "deadletterreason"
DEAD_LETTER_APP_ID = "deadletterappid"


class Outcome(StrEnum):
    """What the sidecar is to do with a message.

    DROP hands it to the subscription's dead-letter topic, if it has one.
    """

    SUCCESS = "SUCCESS"
    RETRY = "RETRY"
    DROP = "DROP"


Answer = dict[str, Outcome]


class Unprocessable(Exception):
    """An event that no retry can help; its text says why."""


class SidecarToken:
    """The token that the sidecar sends with every call to this service (`APP_API_TOKEN`)."""

    def __init__(self) -> None:
        self._token: bytes | None = None
        self._known = False

    def know(self, token: str | None) -> None:
        """Set the token to ask for; None lets every caller in."""
        self._token = token.encode() if token is not None else None
        self._known = True

    def check(self, request: Request) -> None:
        """Let the sidecar's own calls in.

        Raises:
            Unavailable: the token was not read from the secret store yet.
            HTTPException: 403, the caller is not the sidecar.
        """
        if not self._known:
            raise Unavailable("The app API token was not read from the secret store yet.")
        if self._token is None:
            return
        sent = request.headers.get("dapr-api-token", "").encode()
        if not secrets.compare_digest(sent, self._token):
            raise HTTPException(
                403,
                "Only the Dapr sidecar may call this, with the header dapr-api-token. Where the"
                " sidecar itself was refused, start it with APP_API_TOKEN set to the secret"
                " app-api-token.",
            )


class DeadLetterTopic:
    """The way to the dead-letter topic, with a reason."""

    def __init__(self, publisher: Publisher, topic: str, app_id: str) -> None:
        self._publisher = publisher
        self._topic = topic
        self._app_id = app_id

    async def publish(self, event: CloudEvent, reason: str) -> None:
        marks = {DEAD_LETTER_REASON: reason, DEAD_LETTER_APP_ID: self._app_id}
        await self._publisher.publish(self._topic, event.model_copy(update=marks))


async def only_sidecar(request: Request) -> None:
    """Refuse callers other than the own sidecar; a dependency of every callback route."""
    token: SidecarToken = request.state.sidecar_token
    token.check(request)


async def settle(
    request: Request,
    handle: Callable[[CloudEvent], Awaitable[None]],
    *,
    dead_letters: bool = True,
) -> Answer:
    """Run the handler of a subscription and say what the sidecar is to do with the message.

    A part that does not answer is worth a retry; whatever else goes wrong is not. Such an event is
    published to the dead-letter topic with the reason, and so handled. What is no CloudEvent has no
    place for a reason: the sidecar drops it there as it is.

    Args:
        dead_letters: the subscription has a dead-letter topic; that topic's own has none, so what
            its handler fails on is logged and dropped.
    """
    body = await request.body()
    try:
        event = CloudEvent.model_validate_json(body)
    except ValidationError as error:
        log.error("not_a_cloud_event", reason=str(error))
        return {"status": Outcome.DROP}
    with structlog.contextvars.bound_contextvars(event_id=event.id, trace_id=_trace_id(event)):
        try:
            await handle(event)
        except (Unavailable, Conflict) as error:
            log.warning("event_retried", reason=str(error))
            return {"status": Outcome.RETRY}
        except Exception as error:
            understood = isinstance(error, Unprocessable | ValidationError)
            log.error("event_failed", reason=str(error), exc_info=not understood)
            if not dead_letters:
                return {"status": Outcome.DROP}
            return await _dead_letter(request.state.dead_letter_topic, event, error)
    return {"status": Outcome.SUCCESS}


async def _dead_letter(topic: DeadLetterTopic, event: CloudEvent, error: Exception) -> Answer:
    if isinstance(error, Unprocessable):
        reason = str(error)
    elif isinstance(error, ValidationError):
        reason = f"{event.type} could not be read: {error}"
    else:
        reason = f"{type(error).__name__}: {error}"
    try:
        await topic.publish(event, reason)
    except Unavailable:
        return {"status": Outcome.RETRY}
    return {"status": Outcome.SUCCESS}


def raw_payload(event: CloudEvent) -> bytes:
    """Return the bytes of a message that came through a subscription with `rawPayload`."""
    encoded = (event.model_extra or {}).get("data_base64")
    if isinstance(encoded, str):
        return base64.b64decode(encoded)
    return json.dumps(event.data).encode()


def as_text(payload: bytes) -> str:
    """Return `payload` as text, in base64 where it is not UTF-8."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return base64.b64encode(payload).decode()


def _trace_id(event: CloudEvent) -> str | None:
    trace = (event.model_extra or {}).get("traceparent")
    return trace.split("-")[1] if isinstance(trace, str) and trace.count("-") == 3 else None
