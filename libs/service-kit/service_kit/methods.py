"""HEAD wherever there is GET, and OPTIONS and 405 that say what there is (RFC 9110, section 9)."""

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def allowed_methods(routes: Sequence[BaseRoute], path: str) -> str:
    """Return the methods of the resource at `path` as `Allow` has them; empty where is none."""
    scope = {"type": "http", "path": path, "root_path": "", "headers": []}
    allowed = [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    if "GET" in allowed:
        allowed.append("HEAD")
    return ", ".join(sorted([*allowed, "OPTIONS"])) if allowed else ""


class Methods:
    """Answers HEAD as GET without its body, and OPTIONS; sees to it that `Allow` is true.

    Args:
        routes: all that there are; more may be added later.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and (allowed := self._allowed(scope)):
            await Response(status_code=204, headers={"Allow": allowed})(scope, receive, send)
            return

        async def send_allowed(message: Message) -> None:
            # The router names the methods of one route, and a path may have several.
            if message["type"] == "http.response.start" and message["status"] == 405:
                MutableHeaders(scope=message)["Allow"] = self._allowed(scope)
            await send(message)

        if scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, _without_body(send_allowed))
        else:
            await self._app(scope, receive, send_allowed)

    def _allowed(self, scope: Scope) -> str:
        return allowed_methods(self._routes, scope["path"])


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            # At once: the body of a stream would never end.
            await send({"type": "http.response.body", "body": b""})

    return send_head
