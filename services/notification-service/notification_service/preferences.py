"""What each person has set."""

import json
from typing import Any

from service_kit.keys import key_part
from service_kit.ports import Conflict, StateStore

Settings = dict[str, Any]


class Preferences:
    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def get(self, user: str) -> Settings | None:
        stored = await self._store.get(_key(user))
        if stored is None:
            return None
        settings: Settings = json.loads(stored.value)
        return settings

    async def put(self, user: str, settings: Settings) -> None:
        """Replace the person's settings; the last one to do so wins."""
        value = json.dumps(settings).encode()
        while True:
            stored = await self._store.get(_key(user))
            try:
                await self._store.save(_key(user), value, stored.etag if stored else None)
                return
            except Conflict:
                continue


def _key(user: str) -> str:
    return f"preferences-{key_part(user)}"
