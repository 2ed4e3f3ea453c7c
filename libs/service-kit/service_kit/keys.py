"""Keys that every state store takes."""

import hashlib
import re

_SAFE = re.compile(r"[A-Za-z0-9._:-]{1,100}")


def digest(text: str) -> str:
    """Return a short name for `text`, the same each time."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def key_part(id: str) -> str:
    """Return `id`, or its digest where it has what Dapr or a store refuses in a key.

    A refused key fails the whole batch that it is in, and ids come from clients.
    """
    return id if _SAFE.fullmatch(id) else digest(id)
