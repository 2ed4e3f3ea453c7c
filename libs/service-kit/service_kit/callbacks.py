"""Who may call what is there for sidecars and for other services."""

import secrets

from fastapi import Request
from starlette.exceptions import HTTPException

from service_kit.ports import Unavailable

CALLBACKS = "/events/"
"""Start of the paths that sidecars deliver messages to."""
CALLER = "dapr-caller-app-id"
"""The header in which a sidecar names the app that invokes a method."""


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


async def only_sidecar(request: Request) -> None:
    """Refuse callers other than the own sidecar; a dependency of every callback route."""
    token: SidecarToken = request.state.sidecar_token
    token.check(request)


async def only_app(request: Request, app_id: str) -> None:
    """Refuse callers other than one app that invokes a method through Dapr."""
    await only_sidecar(request)
    if request.headers.get(CALLER) != app_id:
        raise HTTPException(403, f"Only {app_id} may invoke this.")
