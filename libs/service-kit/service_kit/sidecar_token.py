"""What the own sidecar shows with each of its calls, so that nobody else can make them."""

import asyncio
import secrets
from typing import Self

import structlog
from fastapi import Request
from starlette.exceptions import HTTPException

from service_kit.ports import Secrets, Unavailable
from service_kit.settings import ServiceSettings

log = structlog.get_logger()

PAUSE_SECONDS = 3.0
"""Least time between two looks at the secret store for tokens that are not known."""


class SidecarToken:
    """The token that the sidecar sends with every call to this service (`APP_API_TOKEN`).

    It may be changed in the secret store at any moment, and the sidecar shows the new one once it
    is started again. So a token that is not known may be new: it is compared with what the store
    has by then. What was read before is taken until the sidecar has shown what was read later: the
    guess of a stranger makes the service read the new one while its sidecar still has the old.

    It is read in the background while the service runs: enter it at start, leave it at the end.
    """

    def __init__(self, store: Secrets, settings: ServiceSettings) -> None:
        self._store = store
        self._settings = settings
        self._tokens: list[bytes] = []
        """What was read, oldest first, from what the sidecar showed last on."""
        self._reading: asyncio.Task[None] | None = None
        self._next_look: asyncio.Task[None] | None = None
        self._looked_at = -PAUSE_SECONDS

    async def __aenter__(self) -> Self:
        if self._settings.callbacks_need_token:
            self._reading = asyncio.create_task(self._read_first())
        else:
            log.warning("callbacks_not_authenticated", mend="start the sidecar with APP_API_TOKEN")
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for task in (self._reading, self._next_look) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ensure_known(self) -> None:
        """Raise `Unavailable` where the sidecar's calls cannot be let in yet."""
        if self._settings.callbacks_need_token and not self._tokens:
            raise Unavailable(
                f"The secret {self._settings.app_api_token_secret} was not read from"
                f" {self._settings.secret_store} yet; without it the sidecar is refused."
            )

    async def check(self, request: Request) -> None:
        """Let the sidecar's own calls in.

        Raises:
            Unavailable: the token could not be read from the secret store.
            HTTPException: 403, the caller is not the sidecar.
        """
        if not self._settings.callbacks_need_token:
            return
        self.ensure_known()
        sent = request.headers.get("dapr-api-token", "").encode("latin-1")
        if sent and not self._knows(sent):
            await self._look_again()
        if not self._knows(sent):
            raise HTTPException(
                403,
                "Only the Dapr sidecar may call this, with the header dapr-api-token. Where the"
                " sidecar itself was refused, start it with APP_API_TOKEN set to the secret"
                f" {self._settings.app_api_token_secret}.",
            )

    def _knows(self, sent: bytes) -> bool:
        for index, token in enumerate(self._tokens):
            if secrets.compare_digest(sent, token):
                del self._tokens[:index]
                return True
        return False

    async def _look_again(self) -> None:
        """Look at the secret store, later than now: all who wait meanwhile share one look."""
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look_after_pause())
        await asyncio.shield(self._next_look)

    async def _look_after_pause(self) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._looked_at + PAUSE_SECONDS - clock())
        self._looked_at = clock()
        self._next_look = None  # whoever comes from here on may know of a later change
        await self._read()

    async def _read_first(self) -> None:
        """Read the token as soon as the secret store answers and has it."""
        while not self._tokens:
            try:
                await self._read()
            except Unavailable as error:
                log.debug("secret_store_not_ready", reason=str(error))
                await asyncio.sleep(0.1)
                continue
            if not self._tokens:
                log.error(
                    "secret_missing",
                    secret=self._settings.app_api_token_secret,
                    store=self._settings.secret_store,
                    mend="add it to the secret store; until then every callback is refused",
                )
                await asyncio.sleep(5)

    async def _read(self) -> None:
        secret = await self._store.get(self._settings.app_api_token_secret)
        if not secret or (token := secret.encode()) in self._tokens[-1:]:
            return
        if self._tokens:
            log.info("app_api_token_changed")
        self._tokens = [known for known in self._tokens if known != token] + [token]
