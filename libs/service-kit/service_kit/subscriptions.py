"""The boundary to the broker: whatever a sidecar delivers ends in one of three ways.

A message is handled; or it is refused, and kept as a dead letter with the reason; or it is asked
for again, because a part is away. Each message of a bulk has a fate of its own: the frame that the
sidecar puts around them is read first, and then each message for itself. So subscriptions get raw
payloads: of a message that the sidecar reads, one that it cannot read fails the bulk, and one whose
`traceparent` is a number ends the sidecar.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException

from service_kit.callbacks import CALLBACKS, only_app, only_sidecar
from service_kit.messages import Unprocessable, complaints, read_event, type_of
from service_kit.ports import Conflict, Unavailable
from service_kit.problems import problem, unavailable
from service_kit.refusals import LONGEST_REASON
from shared_models import CloudEvent, Fate, Message, Verdict

log = structlog.get_logger()


REDELIVER = "redeliver"
"""The method by which another service has a message handled once more."""

_BY_A_SUBSCRIPTION = "pubsubname"
"""The header by which a sidecar says which component it delivers from."""
_MOST_SAID = 100

Handle = Callable[[bytes], Awaitable[None]]
Refuse = Callable[[Message, str], Awaitable[None]]


@dataclass(frozen=True)
class Subscription:
    """A topic that the sidecar delivers to this service.

    Args:
        component: the broker component that the topic is on.
        handle: takes a message; `Unavailable` and `Conflict` ask for it again, and every other
            error refuses it.
        refuse: keeps a message that was refused, with the reason.
    """

    component: str
    topic: str
    handle: Handle
    refuse: Refuse

    @property
    def path(self) -> str:
        """The route that the sidecar posts the messages to; components/ binds the two."""
        return f"{CALLBACKS}{self.topic}"

    async def judge(self, payload: bytes) -> Verdict:
        """Handle a message and say what became of it."""
        try:
            await self.handle(payload)
        except (Unavailable, Conflict) as error:
            log.warning("message_asked_for_again", topic=self.topic, reason=str(error))
            return Verdict(fate=Fate.LATER, reason=str(error))
        except Exception as error:
            reason = _reason(error)
            understood = isinstance(error, Unprocessable | ValidationError)
            log.error("message_refused", topic=self.topic, reason=reason, exc_info=not understood)
            return Verdict(fate=Fate.REFUSED, reason=reason)
        return Verdict(fate=Fate.HANDLED)

    async def settle(self, payload: bytes) -> "_Status":
        """Handle a message, or have it kept as a dead letter, and say what to do with it."""
        verdict = await self.judge(payload)
        if verdict.fate is Fate.REFUSED:
            message = Message(component=self.component, topic=self.topic, payload=payload)
            try:
                await self.refuse(message, verdict.reason)
            except Exception as error:
                log.warning("refusal_postponed", topic=self.topic, reason=_reason(error))
                return _Status.RETRY
        return _Status.RETRY if verdict.fate is Fate.LATER else _Status.SUCCESS


def events(
    handle: Callable[[CloudEvent], Awaitable[None]], types: Container[str] | None = None
) -> Handle:
    """Return what handles the messages of a topic of CloudEvents.

    Args:
        types: those that are of interest. A message that cannot be read is of none of them: who
            takes every type will refuse it.
    """

    async def handle_message(payload: bytes) -> None:
        if types is None or type_of(payload) in types:
            await handle(read_event(payload))

    return handle_message


def router_of(
    subscriptions: Sequence[Subscription], redelivered_by: str | None = None
) -> APIRouter:
    """Return the routes that the sidecar delivers to.

    Args:
        redelivered_by: app-id of the service that may invoke `redeliver` with a message that this
            one refused, or never got.
    """
    router = APIRouter(dependencies=[Depends(only_sidecar)], include_in_schema=False)
    for subscription in subscriptions:
        router.add_api_route(
            subscription.path, _endpoint(subscription), methods=["POST"], name=subscription.topic
        )
    if redelivered_by is not None:

        @router.post(f"/{REDELIVER}")
        async def redeliver(message: Message, request: Request) -> Verdict:
            await only_app(request, redelivered_by)
            return await judge(subscriptions, message)

    return router


async def judge(subscriptions: Sequence[Subscription], message: Message) -> Verdict:
    """Have the subscription that a message came from handle it, and say what became of it."""
    for each in subscriptions:
        if (each.component, each.topic) == (message.component, message.topic):
            return await each.judge(message.payload)
    reason = f"There is no subscription to {message.topic} of {message.component}."
    return Verdict(fate=Fate.REFUSED, reason=reason)


class UnknownPaths:
    """Answers for a path that nothing is at; a handler of those errors.

    A sidecar takes a 404 for "drop this", without a dead letter. So what it delivers to a path that
    no subscription has, for a typo in YAML, is asked for again, and said once in the log.
    """

    def __init__(self, subscriptions: Sequence[Subscription]) -> None:
        self._paths = [each.path for each in subscriptions]
        self._said: set[str] = set()

    def __call__(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        component = request.headers.get(_BY_A_SUBSCRIPTION)
        if component is None:
            return problem(error.status_code, error.detail, error.headers)
        path = request.url.path
        reason = f"No subscription leads to {path}; there is {' and '.join(self._paths)}."
        if path not in self._said and len(self._said) < _MOST_SAID:
            self._said.add(path)
            log.error(
                "delivery_to_unknown_path",
                component=component,
                reason=reason,
                mend="mend the route of the subscription; until then it is asked for again",
            )
        return unavailable(Unavailable(reason))


class _Status(StrEnum):
    """What the sidecar is to do with a message.

    Never DROP: Dapr 1.18 looks for a dropped message at its place in the bulk as it came, after it
    took out what was settled before.
    """

    SUCCESS = "SUCCESS"
    RETRY = "RETRY"


_Answer = dict[str, list[dict[str, str]]]


class _Entry(BaseModel):
    model_config = ConfigDict(val_json_bytes="base64")

    entryId: str  # noqa: N815, the sidecar's name
    event: bytes


class _Delivery(BaseModel):
    """What the sidecar posts for a bulk subscription with `rawPayload`.

    Source: https://docs.dapr.io/developing-applications/building-blocks/pubsub/pubsub-bulk/
    """

    pubsubname: str
    topic: str
    entries: list[_Entry]


def _endpoint(subscription: Subscription) -> Callable[[Request], Awaitable[_Answer]]:
    async def deliver(request: Request) -> _Answer:
        delivery = _read(await request.body(), subscription)
        statuses = await asyncio.gather(
            *(subscription.settle(entry.event) for entry in delivery.entries)
        )
        return {
            "statuses": [
                {"entryId": entry.entryId, "status": status}
                for entry, status in zip(delivery.entries, statuses, strict=True)
            ]
        }

    return deliver


def _read(body: bytes, subscription: Subscription) -> _Delivery:
    """Return a delivery.

    Raises:
        Unavailable: it is not for this subscription, so the sidecar's YAML has to be mended first.
    """
    mend = f"Mend the subscription that leads to {subscription.path}."
    try:
        delivery = _Delivery.model_validate_json(body)
    except ValidationError as error:
        raise Unavailable(
            f"This is no bulk of raw payloads: {complaints(error)}. {mend} It needs bulkSubscribe,"
            ' and rawPayload: "true" in its metadata.'
        ) from error
    named = (delivery.pubsubname, delivery.topic)
    if named != (subscription.component, subscription.topic):
        raise Unavailable(
            f"This is {delivery.topic} of {delivery.pubsubname}, and {subscription.path} takes"
            f" {subscription.topic} of {subscription.component}. {mend}"
        )
    return delivery


def _reason(error: Exception) -> str:
    if isinstance(error, Unprocessable):
        reason = str(error)
    elif isinstance(error, ValidationError):
        reason = f"It could not be read: {complaints(error)}"
    else:
        reason = f"{type(error).__name__}: {error}"
    return reason.encode(errors="replace").decode()[:LONGEST_REASON]
