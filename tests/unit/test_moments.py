"""Times come in as RFC 3339 with a zone, or not at all."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared_models import CloudEvent, TaskEvent
from shared_models.moments import Moment

MOMENT = TypeAdapter(Moment)

two_digits = st.integers(0, 99).map("{:02}".format)
likely = st.sampled_from(["00", "01", "12", "23", "24", "28", "29", "30", "31", "59", "60", "61"])
part = two_digits | likely
year = st.integers(0, 9999).map("{:04}".format) | st.sampled_from(["0000", "0001", "9999"])
zone = st.sampled_from(["Z", "z", "-00:00", "+00:00", "+23:59", "-23:59", "+24:00", "+01:60"])
fraction = st.just("") | st.from_regex(r"\A\.[0-9]{1,12}\Z")
near_rfc_3339 = st.tuples(
    year, st.just("-"), part, st.just("-"), part, st.sampled_from("Tt"),
    part, st.just(":"), part, st.just(":"), part, fraction, zone,
).map("".join)  # fmt: skip
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_stored_is_read_again(moment: datetime) -> None:
    assert MOMENT.validate_json(MOMENT.dump_json(moment)) == moment


@given(near_rfc_3339)
def test_a_text_like_a_time_is_a_time_in_utc_or_invalid(text: str) -> None:
    try:
        moment = MOMENT.validate_python(text)
    except ValidationError:
        return
    assert moment.tzinfo is UTC
    assert MOMENT.validate_json(MOMENT.dump_json(moment)) == moment


@given(any_json)
def test_what_is_not_rfc_3339_is_invalid(value: object) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_json(json.dumps(value))


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:60Z",
        "5",
        "253402300800",
        "2027-01-31",
        "2027-01-31T09:00Z",
        "2027-01-31T09:00:00",
        "2027-01-31 09:00:00Z",
        "2027-01-31T09:00:00.Z",
        "2027-01-31T09:00:00+0100",
        "2027-01-31T09:00:00+01",
        "2027-01-31T24:00:00Z",
        "2027-01-31T09:00:00+01:60",
        "2027-01-31T09:00:00+24:00",
        "2027-02-29T09:00:00Z",
        "2027-W05-7T09:00:00Z",
        "20270131T090000Z",
        "٢٠٢٧-01-31T09:00:00Z",
        " 2027-01-31T09:00:00Z",
        "2027-01-31T09:00:00Z\n",
    ],
)
def test_what_is_near_to_rfc_3339_is_invalid(text: str) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-01-31t09:00:00z", "2027-01-31T09:00:00Z"),
        ("2027-01-31T09:00:00.1234567Z", "2027-01-31T09:00:00.123456Z"),
        ("2027-01-31T09:00:00.5-00:00", "2027-01-31T09:00:00.500000Z"),
        ("2027-01-31T00:30:00+23:59", "2027-01-30T00:31:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_all_of_rfc_3339_is_read(text: str, expected: str) -> None:
    assert MOMENT.dump_python(MOMENT.validate_python(text), mode="json") == expected


def test_a_leap_second_is_the_second_that_follows_it() -> None:
    read = MOMENT.validate_python("1990-12-31T15:59:60.25-08:00")
    assert read == datetime(1991, 1, 1, tzinfo=UTC) + timedelta(seconds=0.25)


@pytest.mark.parametrize("text", ["1990-12-31T15:58:60Z", "1990-12-30T23:59:60Z"])
def test_a_second_60_elsewhere_is_invalid(text: str) -> None:
    with pytest.raises(ValidationError, match="last one of a month"):
        MOMENT.validate_python(text)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-01:00", "5", 5])
def test_an_event_with_such_a_time_is_invalid(time: object) -> None:
    data = {"event_type": "task.created", "task_id": "a", "title": "t", "status": "pending"}
    with pytest.raises(ValidationError):
        CloudEvent.model_validate({"id": "1", "source": "me", "type": "t", "time": time})
    with pytest.raises(ValidationError):
        TaskEvent.model_validate({**data, "timestamp": time})
