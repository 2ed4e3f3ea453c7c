"""One `Host` in each request (RFC 9112, section 3.2)."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from service_kit.problems import problem

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(:[0-9]*)?")


class OneHost:
    """Answers 400 to a request with no `Host`, with two, or with one that is none.

    Proxies and servers that choose different ones of two hosts can be played against each other.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        without = not hosts and scope.get("http_version") == "1.0"  # which knew no Host
        if without or (len(hosts) == 1 and _HOST.fullmatch(hosts[0])):
            await self._app(scope, receive, send)
            return
        await problem(400, "Send exactly one Host header, with a host and maybe a port.")(
            scope, receive, send
        )
