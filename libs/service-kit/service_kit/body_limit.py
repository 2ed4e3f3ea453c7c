"""A bound on request bodies."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.problems import problem

MOST_BYTES = 1_000_000
READ_ON_BYTES = 100_000_000
READ_ON_FOR = timedelta(seconds=10)


class BodyLimit:
    """Answers 413 to a request whose body has more than `most_bytes`, announced or not.

    Whoever is answered early gets that answer. A client may send all of its body before it reads,
    and would find the connection reset where the server closed it with something unread. So the
    rest is read and thrown away before the answer ends, up to 100 MB and for up to 10 s. The
    connection is closed then: what is left of the body would be taken for the next request.

    FastAPI's `max_body_size` answers what is announced as too large in plain text, whatever the
    handlers of errors say, and cannot leave a route without a bound.

    Args:
        exempt: start of the paths of callbacks. What the sidecar delivers has its own bound, and a
            message that is refused for its size would come again for ever.
    """

    def __init__(self, app: ASGIApp, exempt: str, most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        self._exempt = exempt
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._exempt):
            await self._app(scope, receive, send)
            return
        announced, chunked, asks_first = b"0", False, False
        for name, value in scope["headers"]:
            if name == b"content-length":
                announced = value
            elif name == b"transfer-encoding":
                chunked = True
            elif name == b"expect":
                asks_first = True
        if not chunked and announced == b"0":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, send, self._most_bytes, reads_on=not asks_first)
        if announced.isdigit() and int(announced) <= self._most_bytes:
            await self._app(scope, body.receive, body.send)
        else:
            await problem(413, body.too_large)(scope, body.receive, body.send)


class _Body:
    """The body of a request while it arrives.

    Args:
        reads_on: the client sends the body whatever it is answered.
    """

    def __init__(self, receive: Receive, send: Send, most_bytes: int, *, reads_on: bool) -> None:
        self._receive = receive
        self._send = send
        self._most_bytes = most_bytes
        self._received = 0
        self._is_read = False
        self._reads_on = reads_on
        self.too_large = f"The body has more than {most_bytes} bytes."

    async def receive(self) -> Message:
        message = await self._next()
        if self._received > self._most_bytes:
            raise HTTPException(413, self.too_large)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self._is_read:
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        ends = message["type"] == "http.response.body" and not message.get("more_body")
        if ends and self._reads_on and not self._is_read:
            await self._send({**message, "more_body": True})
            await self._read_on()
            message = {"type": "http.response.body"}
        await self._send(message)

    async def _read_on(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_ON_FOR.total_seconds()):
                while not self._is_read and self._received < READ_ON_BYTES:
                    await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if not message.get("more_body"):
            self._is_read = True
        return message
