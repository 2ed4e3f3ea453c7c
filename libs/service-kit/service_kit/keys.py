"""Keys that every state store takes."""

import hashlib
import re

_SAFE = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_SHORTENED = "~"


def digest(text: str) -> str:
    """Return a short name for `text`, the same each time."""
    return _hash(text)[:32]


def key_part(id: str) -> str:
    """Return what stands for `id` in a key, and for no other id.

    An id that has what Dapr or a store refuses in a key, or that is too long, is shortened: a
    refused key fails the whole batch that it is in, and ids come from clients.
    """
    return id if _SAFE.fullmatch(id) else shortened(id)


def shortened(id: str) -> str:
    """Return the short form of `id`, with a mark that no id has which is used as it is."""
    return _SHORTENED + _hash(id)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
