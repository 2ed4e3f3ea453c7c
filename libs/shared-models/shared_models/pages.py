"""The one shape of every list."""

from typing import Generic, TypeVar

from pydantic import BaseModel

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """Some items, and the cursor that gets the next ones.

    A page may hold fewer items than asked for, even none, while `next_cursor` goes on: the work of
    one request is bounded. The list ends where `next_cursor` is None.
    """

    items: list[Item]
    next_cursor: str | None = None
