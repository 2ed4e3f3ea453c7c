"""Text that every store and every reader can hold."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

_ANOTHER_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_OVERRIDE = re.compile("[\u202d\u202e]")
_NOT_ON_A_LINE = r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u202d\u202e"
_LINE_PATTERN = rf"^[^{_NOT_ON_A_LINE}]*[^{_NOT_ON_A_LINE}\s][^{_NOT_ON_A_LINE}]*$"
"""What the validators ask, for the OpenAPI document."""


def nfc(text: str) -> str:
    """Return `text` as it is compared: é is one character, however it was typed."""
    return unicodedata.normalize("NFC", text)


def _without_nul(text: str) -> str:
    # PostgreSQL and C libraries cut or refuse text at NUL, so it must not get in.
    if "\0" in text:
        raise ValueError("must not contain the NUL character")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must contain more than white space")
    return text


def _on_one_line(text: str) -> str:
    # The joiners in emoji, and the marks of direction that languages need, are no control
    # characters and stay. An override shows the letters in another order than they are compared in.
    if found := _ANOTHER_LINE.search(text):
        raise ValueError(f"must not contain control characters; it has U+{ord(found[0]):04X}")
    if found := _OVERRIDE.search(text):
        raise ValueError(f"must not change the order of its letters by U+{ord(found[0]):04X}")
    return text


LongText = Annotated[
    str,
    StringConstraints(max_length=10_000),
    AfterValidator(_without_nul),
    Field(json_schema_extra={"pattern": r"^[^\u0000]*$"}),
]
"""Up to 10,000 characters, so that a page of tasks fits into one answer of the sidecar."""
ShortText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_without_nul),
    AfterValidator(_not_blank),
]
"""1 to 200 characters, at least one of them visible."""
Line = Annotated[
    ShortText,
    AfterValidator(_on_one_line),
    Field(json_schema_extra={"pattern": _LINE_PATTERN}),
]
"""Short text on a single line: a title, an app-id."""


_MOST_NORMALIZED = 1_000
"""Characters. What has more is too long in any form, and would take time as their square."""


def _in_nfc(value: object) -> object:
    return nfc(value) if isinstance(value, str) and len(value) <= _MOST_NORMALIZED else value


_InNfc = BeforeValidator(_in_nfc)
Name = Annotated[Line, _InNfc]
"""A line that is compared with others, such as a person's name, in the form that `nfc` returns."""
KnownName = Annotated[ShortText, _InNfc]
"""A name from what is stored: nobody can mend it there, so its characters are not judged again."""
