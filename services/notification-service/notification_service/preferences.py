"""What each person has set."""

import json
import re
from typing import Any

from service_kit.keys import digest, key_part, shortened
from service_kit.ports import Conflict, StateStore

Settings = dict[str, Any]

MOST_BYTES = 65_536
_LIKE_A_DIGEST = re.compile(r"[0-9a-f]{32}")


class PreferencesTooLarge(Exception):
    """The settings have more bytes than a person may store."""


class Preferences:
    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def get(self, user: str) -> Settings | None:
        stored = await self._store.get(_key(user))
        if stored is None and key_part(user) != user:
            stored = await self._store.get(_key_by_digest(user))
        if stored is None:
            return None
        # What is no number to JSON may have been stored all the same.
        settings: Settings = json.loads(stored.value, parse_constant=lambda _: None)
        return settings

    async def put(self, user: str, settings: Settings) -> None:
        """Replace the person's settings; the last one to do so wins.

        Raises:
            PreferencesTooLarge: as JSON they have more than 64 KB.
        """
        value = json.dumps(settings, ensure_ascii=False, separators=(",", ":")).encode()
        if len(value) > MOST_BYTES:
            raise PreferencesTooLarge(
                f"The settings have {len(value)} bytes, without white space; {MOST_BYTES} are fine."
            )
        while True:
            stored = await self._store.get(_key(user))
            try:
                await self._store.save(_key(user), value, stored.etag if stored else None)
                return
            except Conflict:
                continue


def _key(user: str) -> str:
    # A name that looks like a digest may meet somebody else's key by digest: see below.
    return f"preferences-{shortened(user) if _LIKE_A_DIGEST.fullmatch(user) else key_part(user)}"


def _key_by_digest(user: str) -> str:
    """Return where settings stand that were stored before long and odd names had a mark."""
    return f"preferences-{digest(user)}"
