"""What the simulated store and broker hold. Effects are immediate here; `network` delays them."""

from collections.abc import Sequence

from service_kit.ports import Conflict, Stored
from task_api.task_documents import TaskDocument
from tests.simulation.ledger import Ledger


class StoredState:
    """Keys and values that outlive all processes.

    Args:
        redis: treat a key that was removed as Redis does: a save with an ETag of before makes it
            again, and its ETags start from 1 again. Otherwise what was sent before a key was
            removed is refused, and no ETag is ever used twice.
    """

    def __init__(self, ledger: Ledger, *, redis: bool = False) -> None:
        self.values: dict[str, Stored] = {}
        self.documents: dict[str, TaskDocument] = {}
        """The values that are documents, under the same keys."""
        self.effects = 0
        """Counts the effects, so that a call knows which of them it was sent before."""
        self._removed: dict[str, int] = {}
        self._ledger = ledger
        self._redis = redis

    def take_over(self, other: "StoredState") -> None:
        """Begin with what another store holds."""
        self.values = dict(other.values)
        self.documents = dict(other.documents)
        self.effects = other.effects

    def get(self, key: str) -> Stored | None:
        return self.values.get(key)

    def get_many(self, keys: Sequence[str]) -> list[Stored | None]:
        return [self.values.get(key) for key in keys]

    def save(self, key: str, value: bytes, etag: str | None, sent: int) -> None:
        present = self.values.get(key)
        if present is not None:
            taken = present.etag == etag
        elif self._redis:
            taken = True
        else:
            taken = etag is None and self._removed.get(key, 0) <= sent
        if not taken:
            raise Conflict(f"{key!r} does not have ETag {etag!r}")
        self.effects += 1
        version = int(present.etag) + 1 if present else 1
        self.values[key] = Stored(value, str(version if self._redis else self.effects))
        if key.startswith("task-"):
            self.documents[key] = TaskDocument.model_validate_json(value)
            self._ledger.store(self.documents[key])

    def delete(self, key: str, etag: str) -> None:
        present = self.values.get(key)
        if present is None:
            return
        if present.etag != etag:
            raise Conflict(f"{key!r} does not have ETag {etag!r}")
        self.effects += 1
        del self.values[key]
        self.documents.pop(key, None)
        self._removed[key] = self.effects
