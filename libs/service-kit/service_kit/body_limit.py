"""A bound on request bodies."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.problems import problem

MOST_BYTES = 1_000_000


class BodyLimit:
    """Answers 413 to a request whose body has more than `most_bytes`, announced or not.

    Args:
        exempt: start of the paths of callbacks. What the sidecar delivers has its own bound, and a
            message that is refused for its size would come again for ever.
    """

    def __init__(self, app: ASGIApp, exempt: str, most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        self._exempt = exempt
        self._most_bytes = most_bytes
        self._detail = f"The body has more than {most_bytes} bytes."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._exempt):
            await self._app(scope, receive, send)
            return
        announced, chunked = b"0", False
        for name, value in scope["headers"]:
            if name == b"content-length":
                announced = value
            elif name == b"transfer-encoding":
                chunked = True
        if not announced.isdigit() or int(announced) > self._most_bytes:
            await problem(413, self._detail)(scope, receive, send)
            return
        if not chunked:  # the server lets no more in than was announced
            await self._app(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most_bytes:
                raise HTTPException(413, self._detail)
            return message

        await self._app(scope, counted, send)
