"""HTTP preconditions (RFC 9110, section 13) on a task's version."""

import re

from starlette.exceptions import HTTPException

from shared_models import Task

_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"\s*{_ENTITY_TAG}(?:\s*,\s*{_ENTITY_TAG})*\s*")
ANY = "*"


def etag(task: Task) -> str:
    return f'"{task.version}"'


def matches_strongly(header: str, task: Task) -> bool:
    """Return whether `If-Match: header` allows a change of `task`."""
    tags = _parse(header, "If-Match")
    return ANY in tags or etag(task) in tags


def matches_weakly(header: str, task: Task) -> bool:
    """Return whether `If-None-Match: header` says that the client has this `task`."""
    tags = _parse(header, "If-None-Match")
    return ANY in tags or etag(task) in {tag.removeprefix("W/") for tag in tags}


def _parse(header: str, name: str) -> set[str]:
    if header.strip() == ANY:
        return {ANY}
    if not _LIST.fullmatch(header):
        raise HTTPException(400, f'{name} must be * or a list of ETags such as "3", in quotes.')
    return set(re.findall(_ENTITY_TAG, header))
