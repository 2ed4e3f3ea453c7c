"""JSON that comes in is refused, or comes back as it came."""

import json
import math
from collections.abc import Iterator
from decimal import Decimal

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from notification_service.in_memory_adapters import in_memory_adapters
from notification_service.main import create_app
from service_kit.json_text import MOST_DEPTH, MOST_DIGITS, read_json
from service_kit.ports import Stored

numbers = (
    st.integers()
    | st.integers(min_value=10**300, max_value=10**1200)
    | st.floats()
    | st.sampled_from([-0.0, math.inf, math.nan, 5e-324])
)
texts = st.text(st.characters(exclude_categories=[])) | st.sampled_from(["\0", "\ud800", "👨‍👩‍👧"])
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20
)
objects = st.dictionaries(texts, values)
odd_texts = st.sampled_from([
    '{"a": NaN}', '{"a": 1e400}', '{"a": -1e999}', '{"a": Infinity}', '{"a": 1, "a": 2}',
    '{"a": {"b": 1, "b": 1}}', '{"a": "\\ud800"}', '{"\\udfff": 1}', '{"a": -0}', '{"a": 1.0}',
    '{"a": 0.10000000000000001}', '{"a": 1e-400}', '{"a": "\\u0000"}', '{"a": 0.1e1}',
    '{"a": ' + "9" * 5_000 + "}", '{"a": ' + "[" * 300 + "]" * 300 + "}",
    '{"a": ' + "[" * 100_000, '{"a": ' * 50_000, "\ufeff{}", '{"a": 1} 2', "{'a': 1}",
])  # fmt: skip


@pytest.fixture(scope="module")
def api() -> Iterator[TestClient]:
    with TestClient(create_app(adapters=in_memory_adapters())) as client:
        yield client


@pytest.mark.parametrize(
    "number", ["1e-400", "0.1234567890123456789", "9007199254740993.0", "12345678901234567890.5"]
)
def test_a_number_that_would_change_is_refused(number: str) -> None:
    with pytest.raises(json.JSONDecodeError, match="more digits than are kept"):
        read_json(number.encode())


@pytest.mark.parametrize("number", ["0.1", "1.10", "1e2", "0.30000000000000004", "5e-324", "-0.0"])
def test_a_number_that_is_the_same_in_fewer_digits_is_taken(number: str) -> None:
    assert read_json(number.encode()) == float(number)


@given(objects.map(json.dumps) | odd_texts)
def test_settings_come_back_as_they_came_or_are_refused(api: TestClient, text: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = api.put("/preferences/ann", content=text, headers=headers)
    assert answer.status_code in (200, 422)
    if answer.status_code == 200:
        assert _exactly(api.get("/preferences/ann").text) == _exactly(text)
        assert _exactly(answer.text) == _exactly(text)


def _exactly(text: str) -> object:
    """Return what a JSON text says, its numbers as most readers take them, signs of zero too."""

    def number(digits: str) -> object:
        return (float(digits), math.copysign(1, float(digits)))

    def integer(digits: str) -> object:
        return number(digits) if digits == "-0" or len(digits) < 16 else Decimal(digits)

    return json.loads(text, parse_float=number, parse_int=integer, object_pairs_hook=tuple)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a": 1, "a": 2}', "'a' comes more than once"),
        (b'{"a": 1e400}', "too large"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": -Infinity}', "-Infinity is no JSON"),
        (b"[" * 100_000, "inside each other"),
        (b"[" * (MOST_DEPTH + 1) + b"]" * (MOST_DEPTH + 1), "inside each other"),
        (b"1" * (MOST_DIGITS + 1), "digits"),
        (b'"\\ud83d"', "surrogates"),
        (b'{"\\ud83d": 1}', "surrogates"),
        (b'{"a": "\xff"}', "utf-8"),
        ('{"a": 1}'.encode("utf-16"), "utf-8"),
        (b"", "Expecting value"),
    ],
)
def test_what_cannot_come_back_is_refused_with_the_reason(text: bytes, reason: str) -> None:
    with pytest.raises(json.JSONDecodeError, match=reason):
        read_json(text)


@given(st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused_as_json(text: bytes) -> None:
    try:
        read_json(text)
    except json.JSONDecodeError:
        return


def test_as_many_levels_as_are_bounded_are_read() -> None:
    value = read_json(b"[" * MOST_DEPTH + b"]" * MOST_DEPTH)
    for _ in range(MOST_DEPTH - 1):
        (value,) = value
    assert value == []


def test_names_that_come_twice_among_very_many_are_found_at_once() -> None:
    members = [f'"{number}": 0' for number in range(200_000)]
    with pytest.raises(json.JSONDecodeError, match="'199999'"):
        read_json(f"{{{', '.join([*members, members[-1]])}}}".encode())


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (b'{"a": NaN, "b": Infinity}', {"a": None, "b": None}),
        (b'{"a": "\\ud800"}', {"a": "\ud800"}),
        (b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}", None),
    ],
)
def test_settings_stored_before_a_rule_are_shown(stored: bytes, shown: object) -> None:
    adapters = in_memory_adapters()
    adapters.store.values["preferences-ann"] = Stored(stored, "1")  # type: ignore[attr-defined]
    with TestClient(create_app(adapters=adapters)) as old_api:
        answer = old_api.get("/preferences/ann")
    assert answer.status_code == 200
    assert shown is None or answer.json() == shown
