"""What the simulated store holds. Effects are immediate here; `calls` delays them."""

import math
from collections.abc import Sequence

from service_kit.ports import Conflict, Stored
from task_api.task_documents import TaskDocument
from tests.simulation.ledger import Ledger


class StoredState:
    """Keys and values that outlive all processes.

    Args:
        redis: treat a key that is not there as Redis does: a save with any ETag makes it, and its
            ETags start from 1 again. Otherwise only a save that names none makes it, and no ETag
            is ever used twice. Neither knows whether a save was sent before a removal.
    """

    def __init__(self, ledger: Ledger, *, redis: bool) -> None:
        self.values: dict[str, Stored] = {}
        self.documents: dict[str, TaskDocument] = {}
        """The values that are documents, under the same keys."""
        self._effects = 0
        self._expiries: dict[str, float] = {}
        self._ledger = ledger
        self._redis = redis

    def take_over(self, other: "StoredState") -> None:
        """Begin with what another store holds."""
        self.values = dict(other.values)
        self.documents = dict(other.documents)
        self._effects = other._effects

    def get(self, key: str) -> Stored | None:
        return self.values.get(key)

    def get_many(self, keys: Sequence[str]) -> list[Stored | None]:
        return [self.values.get(key) for key in keys]

    def save(self, key: str, value: bytes, etag: str | None, expiry: float = math.inf) -> None:
        """
        Args:
            expiry: when the key goes by itself.
        """
        present = self.values.get(key)
        fits = (present and present.etag) == etag
        if not fits and (present or not self._redis):
            raise Conflict(f"{key!r} does not have ETag {etag!r}")
        self._effects += 1
        version = int(present.etag) + 1 if present else 1
        self.values[key] = Stored(value, str(version if self._redis else self._effects))
        self._expiries.pop(key, None)
        if expiry < math.inf:
            self._expiries[key] = expiry
        if key.startswith("task-"):
            self.documents[key] = TaskDocument.model_validate_json(value)
            self._ledger.store(self.documents[key], anew=present is None)
        elif key.startswith("notification-"):
            self._ledger.note_notification(value)

    def delete(self, key: str, etag: str) -> None:
        present = self.values.get(key)
        if present is None:
            return
        if present.etag != etag:
            raise Conflict(f"{key!r} does not have ETag {etag!r}")
        self._effects += 1
        self._remove(key)

    def next_expiry(self) -> float:
        return min(self._expiries.values(), default=math.inf)

    def expire(self, now: float) -> None:
        for key in [key for key, expiry in self._expiries.items() if expiry <= now]:
            if key in self.documents:
                self._ledger.looks_cut_short = True
            self._remove(key)

    def _remove(self, key: str) -> None:
        del self.values[key]
        self.documents.pop(key, None)
        self._expiries.pop(key, None)
