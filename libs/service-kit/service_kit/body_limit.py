"""A bound on request bodies."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.problems import problem

MOST_BYTES = 1_000_000


class BodyLimit:
    """Answers 413 to a request whose body has more than `most_bytes`, announced or not."""

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = problem(413, f"The body has more than {self._most_bytes} bytes.")
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._most_bytes:
            await refusal(scope, receive, send)
            return
        received = 0
        answering = False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most_bytes:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            await self._app(scope, counted, watched)
        except _TooLarge:
            if answering:
                raise
            await refusal(scope, receive, send)


class _TooLarge(Exception):
    """Ends the handling of a body that grew over the limit."""
