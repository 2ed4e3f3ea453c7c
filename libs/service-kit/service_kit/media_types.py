"""What a request's body may be: the media types that its route says, in plain bytes."""

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.params import Body
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

JSON = "application/json"


class TypedBodyRoute(APIRoute):
    """A route that answers 415 to a body that is not JSON, or not of the type that it names.

    The type is that of the body's `Body(media_type=...)`, the same that the OpenAPI document has.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        assert isinstance(self.body_field.field_info, Body)
        accepted = list(dict.fromkeys((self.body_field.field_info.media_type, JSON)))

        async def handle_typed(request: Request) -> Response:
            if _has_body(request):
                _check(request, accepted)
            return await handle(request)

        return handle_typed


def _has_body(request: Request) -> bool:
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _check(request: Request, accepted: list[str]) -> None:
    types = " or ".join(accepted)
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(
            415, "Send the body without Content-Encoding.", {"Accept-Encoding": "identity"}
        )
    content_type = request.headers.get("content-type", "")
    parsed = Message()
    parsed["content-type"] = content_type
    known = content_type and parsed.get_content_type() in accepted
    if not known or parsed.get_content_charset("utf-8") != "utf-8":
        sent = f"not {content_type!r}" if content_type else "which is missing"
        name = "Accept-Patch" if request.method == "PATCH" else "Accept"
        raise HTTPException(
            415, f"Send Content-Type: {types}, {sent}.", {name: ", ".join(accepted)}
        )
