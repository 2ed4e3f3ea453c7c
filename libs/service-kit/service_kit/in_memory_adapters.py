"""The ports in memory, for unit tests: no service starts with them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from service_kit.needs import Offer
from service_kit.ports import Conflict, Stored, refuse_too_large
from shared_models import CloudEvent


class InMemoryStateStore:
    """A state store in a dict. Its ETags count the writes, so none is ever used twice."""

    def __init__(self) -> None:
        self.values: dict[str, Stored] = {}
        self._writes = 0

    async def get(self, key: str) -> Stored | None:
        return self.values.get(key)

    async def get_many(self, keys: Sequence[str]) -> list[Stored | None]:
        return [self.values.get(key) for key in keys]

    async def save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        refuse_too_large(key, value)
        present = self.values.get(key)
        if (present.etag if present else None) != etag:
            raise Conflict(f"{key!r} does not have ETag {etag!r}")
        self._writes += 1
        self.values[key] = Stored(value, str(self._writes))

    async def delete(self, key: str, etag: str) -> None:
        present = self.values.get(key)
        if present and present.etag != etag:
            raise Conflict(f"{key!r} does not have ETag {etag!r}")
        self.values.pop(key, None)


class InMemorySidecar:
    """A sidecar that has `has`; it does not say what, where that is None."""

    def __init__(self, has: Offer | None = None) -> None:
        self.has = has
        self.asked = 0

    async def __aenter__(self) -> "InMemorySidecar":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def offer(self) -> Offer | None:
        self.asked += 1
        return self.has


class InMemoryPublisher:
    """A broker that only remembers what was published, in order, as (topic, event)."""

    def __init__(self) -> None:
        self.published: list[tuple[str, CloudEvent]] = []

    async def publish(self, topic: str, event: CloudEvent) -> None:
        self.published.append((topic, event))

    def of(self, topic: str) -> list[CloudEvent]:
        """Return what was published to `topic`, oldest first."""
        return [event for name, event in self.published if name == topic]


class InMemorySecrets:
    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    async def get(self, key: str) -> str | None:
        return self._secrets.get(key)
