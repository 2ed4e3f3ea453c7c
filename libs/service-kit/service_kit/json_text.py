"""JSON that can be given back as it came."""

import json
import math
from collections import Counter
from decimal import Decimal
from typing import Any

MOST_DEPTH = 32
"""Lists and objects inside each other, so that no reader's stack ends before they do."""
MOST_DIGITS = 1_000


def read_json(text: bytes) -> Any:
    """Return the value of a JSON text (RFC 8259).

    Everything else is refused that a parser would take and another one lose: names that come twice
    in an object, halves of characters, numbers that are infinite to most readers.

    Raises:
        json.JSONDecodeError: says what is wrong.
    """
    try:
        value = _DECODER.decode(text.decode())
        _check(value, MOST_DEPTH)
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise json.JSONDecodeError(_TOO_DEEP, "", 0) from error
    except ValueError as error:
        raise json.JSONDecodeError(str(error), "", 0) from error
    return value


_TOO_DEEP = f"there are more than {MOST_DEPTH} lists and objects inside each other"


def _check(value: object, depth: int) -> None:
    if isinstance(value, str):
        value.encode()  # raises for half a character
    elif isinstance(value, list | dict):
        if not depth:
            raise ValueError(_TOO_DEEP)
        for name in value if isinstance(value, dict) else ():
            name.encode()
        for inner in value.values() if isinstance(value, dict) else value:
            _check(inner, depth - 1)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{name!r} comes more than once in an object")
    return members


def _integer(text: str) -> int | float:
    if text == "-0":
        return -0.0
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number has more than {MOST_DIGITS} digits")
    return int(text)


def _fraction(text: str) -> float:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number has more than {MOST_DIGITS} digits")
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    if Decimal(text) != Decimal(repr(number)):
        raise ValueError(f"a number has more digits than are kept, which are {number!r}")
    return number


def _constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
)
