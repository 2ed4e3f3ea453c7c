"""Whether a service can do its work: its store answers, and its sidecar has what it needs."""

import time
from contextlib import suppress

from service_kit.needs import Needs, missing
from service_kit.ports import Sidecar, StateStore, Unavailable

# What a sidecar has changes only with the sidecar, and then the store is away for a moment.
_KNOWN_SECONDS = 30


class Readiness:
    """The readiness of a service. A sidecar that had everything is not asked again for a while."""

    def __init__(self, needs: Needs, sidecar: Sidecar, store: StateStore) -> None:
        self._needs = needs
        self._sidecar = sidecar
        self._store = store
        self._complete_until = 0.0

    async def missing(self) -> list[str]:
        """Return what the sidecar has to get before this service can work, one sentence each.

        Raises:
            Unavailable: the store does not answer, though nothing is missing.
        """
        try:
            await self._store.get("health-probe")
        except Unavailable:
            self._complete_until = 0
            with suppress(Unavailable):
                if lacking := await self._lacking():
                    return lacking
            raise
        return await self._lacking()

    async def _lacking(self) -> list[str]:
        now = time.monotonic()
        if now < self._complete_until:
            return []
        offer = await self._sidecar.offer()
        lacking = missing(self._needs, offer) if offer else []
        if not lacking:
            self._complete_until = now + _KNOWN_SECONDS
        return lacking
