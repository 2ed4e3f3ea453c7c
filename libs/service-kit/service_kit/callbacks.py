"""Who may call what is there for sidecars and for other services."""

from fastapi import Request
from starlette.exceptions import HTTPException

from service_kit.sidecar_token import SidecarToken

CALLBACKS = "/events/"
"""Start of the paths that sidecars deliver messages to."""
CALLER = "dapr-caller-app-id"
"""The header in which a sidecar names the app that invokes a method."""


async def only_sidecar(request: Request) -> None:
    """Refuse callers other than the own sidecar; a dependency of every callback route."""
    token: SidecarToken = request.state.sidecar_token
    await token.check(request)


async def only_app(request: Request, app_id: str) -> None:
    """Refuse callers other than one app that invokes a method through Dapr."""
    await only_sidecar(request)
    if request.headers.get(CALLER) != app_id:
        raise HTTPException(403, f"Only {app_id} may invoke this.")
