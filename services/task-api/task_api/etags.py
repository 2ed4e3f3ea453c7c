"""HTTP preconditions (RFC 9110, section 13) on a task's version."""

import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from shared_models import Task

_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"[\t ,]*(?:{_ENTITY_TAG}[\t ]*(?:,[\t ,]*|\Z))+")
"""Members may be empty, which add nothing (RFC 9110, 5.6.1); one must not be."""
ANY = "*"
PATTERN = rf"^([\t ]*\*[\t ]*|[\t ,]*({_ENTITY_TAG}[\t ]*(,[\t ,]*|$))+)$"
DOCUMENTED = {
    "parameters": [
        {
            "in": "header",
            "name": name,
            "required": False,
            "description": f"Only if the task has {which} of these ETags; `*` is any.",
            "schema": {"type": "string", "pattern": PATTERN, "examples": ['"3"']},
        }
        for name, which in (("If-Match", "one"), ("If-None-Match", "none"))
    ]
}
"""The preconditions of a route, for the OpenAPI document alone: as a parameter of the route, each
would take a tenth of the time of a GET."""


def etag(task: Task) -> str:
    return f'"{task.version}"'


class Preconditions:
    """What a request asks of the version of a task, as its header says it; None asks nothing.

    `If-Match` comes first. A task that is not there is neither changed nor read, whatever is asked.

    Raises:
        HTTPException: 400, one of them is no list of ETags.
    """

    def __init__(self, if_match: str | None = None, if_none_match: str | None = None) -> None:
        self._if_match = _parse(if_match, "If-Match")
        self._if_none_match = _parse(if_none_match, "If-None-Match")

    @classmethod
    def of(cls, header: Headers) -> "Preconditions":
        return cls(_list(header, "if-match"), _list(header, "if-none-match"))

    def allow_change(self, task: Task) -> bool:
        """Return whether the version is one that the client will change."""
        return self.allow_read(task) and not self.has_version(task)

    def allow_read(self, task: Task) -> bool:
        """Return whether `If-Match`, compared strongly, names the version."""
        tags = self._if_match
        return tags is None or ANY in tags or etag(task) in tags

    def has_version(self, task: Task) -> bool:
        """Return whether `If-None-Match`, compared weakly, names the version."""
        tags = self._if_none_match
        return tags is not None and (ANY in tags or etag(task) in map(_opaque, tags))


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")


def _list(header: Headers, name: str) -> str | None:
    """Return a field whose lines are the parts of one list (RFC 9110, 5.3)."""
    return ", ".join(header.getlist(name)) if name in header else None


def _parse(header: str | None, name: str) -> set[str] | None:
    if header is None:
        return None
    if header.strip(" \t") == ANY:
        return {ANY}
    if not _LIST.fullmatch(header):
        raise HTTPException(400, f'{name} must be * or a list of ETags such as "3", in quotes.')
    return set(re.findall(_ENTITY_TAG, header))
