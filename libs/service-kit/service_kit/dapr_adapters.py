"""The ports on a Dapr sidecar. Only files of this name import `dapr`."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import aiohttp
import structlog
from dapr.aio.clients import DaprClient
from dapr.clients import BulkPublishEntry
from dapr.clients.exceptions import DaprGrpcError, DaprHttpError, DaprInternalError
from dapr.clients.grpc._state import Concurrency, Consistency, StateItem, StateOptions
from dapr.conf import settings as dapr_settings
from grpc import StatusCode
from grpc.aio import AioRpcError

from service_kit.micro_batches import MicroBatches
from service_kit.needs import Component, Offer, Subscription, is_raw
from service_kit.ports import Conflict, Stored, Unavailable, refuse_too_large
from shared_models import CloudEvent

log = structlog.get_logger()

Answer = TypeVar("Answer")

# First-write makes a save without an ETag create the key and nothing else. Redis only honours it
# on keys that were written that way, so every save says it.
_FIRST_WRITE = StateOptions(
    concurrency=Concurrency.first_write, consistency=Consistency.strong
).get_proto()


class _TooMuchAtOnce(Unavailable):
    """The question or its answer has more bytes than the sidecar handles in one call."""


class DaprSidecar:
    """The connection to the sidecar: one client for the life of the process.

    The service starts, and answers its health check, whether or not the sidecar is up; until it
    is, calls raise `Unavailable`. The SDK's client blocks its thread until the sidecar is healthy,
    so it is only made once the sidecar has said that it is.

    Args:
        http_port: the sidecar's HTTP port on this host.
        grpc_port: the sidecar's gRPC port on this host.
        timeout: most time that one call may take.
    """

    def __init__(self, http_port: int, grpc_port: int, timeout: timedelta) -> None:
        # The outbound check alone: the full one waits for this very service.
        self._health_url = f"http://127.0.0.1:{http_port}/v1.0/healthz/outbound"
        # More than an allow-list of the sidecar may allow: `metadata`, version v1, by HTTP.
        self._metadata_url = f"http://127.0.0.1:{http_port}/v1.0/metadata"
        self._http_port = http_port
        self._grpc_address = f"127.0.0.1:{grpc_port}"
        self._timeout = timeout.total_seconds()
        self._client: DaprClient | None = None
        self._connecting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "DaprSidecar":
        _reach_without_proxy("127.0.0.1")
        self._connecting = asyncio.create_task(self._connect())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connecting:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._client:
            await self._client.close()

    async def call(self, what: str, ask: Callable[[DaprClient], Awaitable[Answer]]) -> Answer:
        """Return what the sidecar answers to `ask`.

        Args:
            what: names the call in the error, such as "save to statestore".

        Raises:
            Unavailable: no sidecar, no answer in time, or an error as the answer.
        """
        if self._client is None:
            raise Unavailable(f"{what}: the Dapr sidecar is not ready; see {self._health_url}")
        try:
            async with asyncio.timeout(self._timeout):
                return await ask(self._client)
        except TimeoutError as error:
            raise Unavailable(f"{what}: no answer within {self._timeout} s") from error
        except (DaprGrpcError, AioRpcError) as error:  # the SDK wraps it for some calls alone
            kind = _TooMuchAtOnce if error.code() is StatusCode.RESOURCE_EXHAUSTED else Unavailable
            raise kind(f"{what}: {error.details()}") from error
        except (DaprInternalError, aiohttp.ClientError) as error:
            raise Unavailable(f"{what}: {error}") from error
        except ValueError as error:
            # The errors of a large batch do not fit into the trailers of its answer; the SDK finds
            # them cut and gives up on making its own error of them.
            raise Unavailable(f"{what}: {error}") from error

    async def ready(self) -> None:
        """Return once calls can be made."""
        if self._connecting:
            await asyncio.shield(self._connecting)

    async def healthy(self) -> bool:
        """Return whether the sidecar and its components are ready."""
        try:
            async with _session() as session, session.get(self._health_url) as response:
                return response.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def offer(self) -> Offer | None:
        """Return what the sidecar has for this service, or None where it may not tell it."""
        headers = {"dapr-api-token": token} if (token := dapr_settings.DAPR_API_TOKEN) else {}
        try:
            async with (
                _session() as session,
                session.get(self._metadata_url, headers=headers) as response,
            ):
                if response.ok:
                    return _offer(await response.json())
                log.warning("sidecar_does_not_tell_what_it_has", status=response.status)
                return None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"get the metadata of the sidecar: {error}") from error

    async def _connect(self) -> None:
        waited = 0
        while not await self.healthy():
            if waited % 50 == 0:
                log.info("waiting_for_sidecar", url=self._health_url)
            waited += 1
            await asyncio.sleep(0.1)
        # It was healthy a moment ago: where it is not any more, block for a second, not for sixty.
        dapr_settings.DAPR_HEALTH_TIMEOUT = 1
        dapr_settings.DAPR_HTTP_PORT = self._http_port  # of the health check and of invocation
        try:
            self._client = DaprClient(self._grpc_address)
        except TimeoutError:
            await self._connect()
            return
        log.info("sidecar_ready")


def _reach_without_proxy(host: str) -> None:
    """Keep gRPC and urllib, by which the SDK calls the sidecar, from calling it through a proxy.

    They take the proxies of a company from the environment, and the SDK passes no option on.
    """
    for name in ("no_proxy", "no_grpc_proxy"):
        others = os.environ.get(name) or os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        os.environ[name] = f"{others},{host}" if others else host


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))


def _offer(metadata: Mapping[str, Any]) -> Offer:
    """Return what the metadata of a sidecar say; those of a bulk subscription do not say so.

    Source: https://docs.dapr.io/reference/api/metadata_api/
    """
    return Offer(
        [Component(each["name"], each["type"]) for each in metadata.get("components", ())],
        [
            Subscription(
                component=each["pubsubname"],
                topic=each["topic"],
                paths=[rule["path"] for rule in each.get("rules", ())],
                is_raw=is_raw(each.get("metadata", {})),
            )
            for each in metadata.get("subscriptions", ())
        ],
    )


class _Save(NamedTuple):
    key: str
    value: bytes
    etag: str | None
    ttl: timedelta | None


class DaprStateStore:
    """A state store behind the sidecar. Concurrent gets share one bulk get, saves one bulk save."""

    def __init__(self, sidecar: DaprSidecar, component: str) -> None:
        self._sidecar = sidecar
        self._component = component
        self._gets: MicroBatches[str, Stored | None] = MicroBatches(self._get_batch)
        self._saves: MicroBatches[_Save, None] = MicroBatches(
            self._save_batch, weight=lambda save: len(save.value)
        )

    async def get(self, key: str) -> Stored | None:
        return await self._gets.submit(key)

    async def get_many(self, keys: Sequence[str]) -> list[Stored | None]:
        return list(await asyncio.gather(*(self._gets.submit(key) for key in keys)))

    async def save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        refuse_too_large(key, value)
        await self._saves.submit(_Save(key, value, etag, ttl))

    async def delete(self, key: str, etag: str) -> None:
        try:
            await self._sidecar.call(
                f"delete from {self._component}",
                lambda client: client.delete_state(self._component, key, etag),
            )
        except Unavailable:
            present = await self.get(key)
            if present and present.etag != etag:
                raise Conflict(f"{key!r} does not have ETag {etag!r}") from None
            if present:
                raise

    async def _get_batch(self, keys: Sequence[str]) -> list[Stored | Exception | None]:
        unique = list(dict.fromkeys(keys))
        try:
            answer = await self._sidecar.call(
                f"get from {self._component}",
                lambda client: client.get_bulk_state(self._component, unique, parallelism=64),
            )
        except _TooMuchAtOnce:
            if len(unique) == 1:
                raise
            half = len(keys) // 2
            return [*await self._get_batch(keys[:half]), *await self._get_batch(keys[half:])]
        found: dict[str, Stored | Exception | None] = {}
        for item in answer.items:
            if item.error:
                found[item.key] = Unavailable(f"get from {self._component}: {item.error}")
            else:
                found[item.key] = Stored(item.data, item.etag) if item.etag else None
        return [found.get(key) for key in keys]

    async def _save_batch(self, saves: Sequence[_Save]) -> list[Exception | None]:
        items = [
            StateItem(
                key=save.key,
                value=save.value,
                etag=save.etag,
                options=_FIRST_WRITE,
                metadata={"ttlInSeconds": str(int(save.ttl.total_seconds()))} if save.ttl else {},
            )
            for save in saves
        ]
        try:
            await self._sidecar.call(
                f"save to {self._component}",
                lambda client: client.save_bulk_state(self._component, items),
            )
        except Unavailable as error:
            return await self._outcomes(saves, error)
        return [None] * len(saves)

    async def _outcomes(self, saves: Sequence[_Save], error: Unavailable) -> list[Exception | None]:
        """Find out what became of each save of a batch that ended in an error.

        The sidecar answers for the batch as a whole, and Redis calls every failure an ETag
        mismatch, so only the store can tell.
        """
        outcomes: list[Exception | None] = []
        for save, now in zip(
            saves, await self._get_batch([save.key for save in saves]), strict=True
        ):
            if isinstance(now, Exception):
                outcomes.append(now)
            elif now and now.value == save.value and now.etag != save.etag:
                outcomes.append(None)
            elif (now.etag if now else None) != save.etag:
                outcomes.append(Conflict(f"{save.key!r} does not have ETag {save.etag!r}"))
            else:
                outcomes.append(error)
        return outcomes


class DaprPublisher:
    """A broker behind the sidecar. Concurrent publications to a topic share one bulk publish."""

    def __init__(self, sidecar: DaprSidecar, component: str) -> None:
        self._sidecar = sidecar
        self._component = component
        self._topics: dict[str, MicroBatches[str, None]] = {}

    async def publish(self, topic: str, event: CloudEvent) -> None:
        if topic not in self._topics:
            self._topics[topic] = MicroBatches(
                lambda bodies: self._publish_batch(topic, bodies), weight=len
            )
        await self._topics[topic].submit(event.model_dump_json(exclude_none=True))

    async def _publish_batch(self, topic: str, bodies: Sequence[str]) -> list[Exception | None]:
        what = f"publish to {topic} on {self._component}"
        entries = [
            BulkPublishEntry(event=body, entry_id=str(index)) for index, body in enumerate(bodies)
        ]
        answer = await self._sidecar.call(
            what,
            lambda client: client.publish_events(
                self._component,
                topic,
                entries,
                data_content_type="application/cloudevents+json",
            ),
        )
        failed = {entry.entry_id: entry.error for entry in answer.failed_entries}
        return [
            Unavailable(f"{what}: {failed[str(index)]}") if str(index) in failed else None
            for index in range(len(bodies))
        ]


class InvocationAnswer(NamedTuple):
    """What another service answered."""

    status: int
    body: bytes


class DaprInvoker:
    """Methods of another service, by its app-id."""

    def __init__(self, sidecar: DaprSidecar) -> None:
        self._sidecar = sidecar

    async def post(self, app_id: str, method: str, body: bytes) -> InvocationAnswer:
        """Invoke `method` of `app_id` with a JSON body.

        Raises:
            Unavailable: the service could not be reached, or answered 5xx.
        """
        what = f"invoke {method} on {app_id}"

        async def ask(client: DaprClient) -> InvocationAnswer:
            try:
                answer = await client.invoke_method(
                    app_id,
                    method,
                    data=body,
                    content_type="application/json",
                    http_verb="POST",
                )
            except DaprHttpError as error:
                return InvocationAnswer(error.status_code or 500, error.raw_response_bytes or b"")
            return InvocationAnswer(answer.status_code or 200, answer.data)

        answer = await self._sidecar.call(what, ask)
        if answer.status >= 500:
            raise Unavailable(f"{what}: answered {answer.status}: {answer.body!r}")
        return answer


class DaprSecrets:
    """The secret store behind the sidecar."""

    def __init__(self, sidecar: DaprSidecar, component: str) -> None:
        self._sidecar = sidecar
        self._component = component

    async def get(self, key: str) -> str | None:
        """Return the secret `key`, or None where the store has none of that name."""
        try:
            answer = await self._sidecar.call(
                f"get secret {key} from {self._component}",
                lambda client: client.get_secret(self._component, key),
            )
        except Unavailable as error:
            if "not found" in str(error):
                return None
            raise
        # A file has one value by its name. A Secret of Kubernetes has several: `token` is where the
        # injector looks for a sidecar's tokens.
        for name in (key, "token"):
            if name in answer.secret:
                return str(answer.secret[name])
        return None
