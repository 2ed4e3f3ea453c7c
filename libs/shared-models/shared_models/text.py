"""Text that every store and every reader can hold."""

from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def _without_nul(text: str) -> str:
    # PostgreSQL and C libraries cut or refuse text at NUL, so it must not get in.
    if "\0" in text:
        raise ValueError("must not contain the NUL character")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must contain more than white space")
    return text


LongText = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_without_nul)]
"""Up to 10,000 characters, so that a page of tasks fits into one answer of the sidecar."""
Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_without_nul),
    AfterValidator(_not_blank),
]
"""1 to 200 characters, at least one of them visible: a title, a name, an app-id."""
