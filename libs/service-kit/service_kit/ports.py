"""What the use cases need of the world, and how it can fail.

Each port has two adapters, one on Dapr and one in memory; `StateStore` and `Publisher` have a
contract suite that both pass.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple, Protocol

from service_kit.needs import Offer
from shared_models import CloudEvent


class Conflict(Exception):
    """The key no longer has the ETag that the save named.

    A save that reached the store twice can conflict with itself, so look at what is stored
    before you conclude that yours is not.
    """


class Unavailable(Exception):
    """A part that this request needs does not answer. What was asked for may still take effect."""


class TooLarge(Exception):
    """A value has more bytes than a sidecar takes at once, however often it is asked."""


MOST_BYTES = 2_500_000
"""Of a value. With others in the same call it stays below the 4 MiB that a sidecar takes."""


def refuse_too_large(key: str, value: bytes) -> None:
    if len(value) > MOST_BYTES:
        raise TooLarge(f"{key!r} would have {len(value)} bytes, more than {MOST_BYTES}.")


class Stored(NamedTuple):
    """A value and the ETag that a save has to name to replace it."""

    value: bytes
    etag: str


class StateStore(Protocol):
    """Keys and values with optimistic concurrency. Every method raises `Unavailable`.

    Keys are told apart by case: a database that compares text without case, as MySQL and SQL Server
    do unless told otherwise, needs a binary collation on the column of the keys.
    """

    async def get(self, key: str) -> Stored | None: ...

    async def get_many(self, keys: Sequence[str]) -> list[Stored | None]:
        """Return what is stored under each key, in the order of `keys`."""
        ...

    async def save(
        self, key: str, value: bytes, etag: str | None, ttl: timedelta | None = None
    ) -> None:
        """Replace the value that has `etag`; with None, create the key.

        A save that finds its own value stored already may count as done.

        Raises:
            TooLarge: the value has more than `MOST_BYTES`.
            Conflict: the key has another ETag, or exists although `etag` is None.
        """
        ...

    async def delete(self, key: str, etag: str) -> None:
        """Remove the value that has `etag`; a key that is gone already is no error.

        Raises:
            Conflict: the key has another ETag.
        """
        ...


class Sidecar(Protocol):
    """The own sidecar, entered at the start of a service and left at its end."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def offer(self) -> Offer | None:
        """Return what the sidecar has for this service, or None where it does not say.

        Raises:
            Unavailable: the sidecar does not answer.
        """
        ...


class Publisher(Protocol):
    async def publish(self, topic: str, event: CloudEvent) -> None:
        """Hand `event` to the broker; return when the broker has it.

        Raises:
            Unavailable: the broker may or may not have it.
        """
        ...


class Secrets(Protocol):
    async def get(self, key: str) -> str | None:
        """Return the secret `key`, or None where the store has none of that name.

        Raises:
            Unavailable: the secret store does not answer.
        """
        ...
