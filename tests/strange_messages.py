"""Messages that nobody means to send: any bytes, any JSON, and events that are nearly right."""

import json
from typing import Any

from hypothesis import strategies as st

from shared_models import CHANGES_INTENDED, MESSAGE_REFUSED, TaskEventType

NO_JSON_OF_PYTHON = {
    "@many digits@": b"1" * 5_000,
    "@wide@": b"1e400",
    "@narrow@": b"-1e-400",
    "@precise@": b"0." + b"3" * 500,
    "@surrogate@": b'"\\ud800"',
    "@raw surrogate@": b'"\xed\xa0\x80"',
    "@raw NUL@": b'"\x00"',
}
"""Numbers and texts that `json.dumps` does not write, by what stands for them."""
MOMENTS = st.sampled_from(
    [
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "2026-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01",
        "5",
        5,
        1e300,
        253402300800,
        "",
        None,
    ]
)
TYPES = st.sampled_from([*TaskEventType, CHANGES_INTENDED, MESSAGE_REFUSED, "", "odd", 5, None, []])
TEXTS = st.one_of(
    st.text(),
    st.sampled_from(["\0", "\ud800", "\u2028", "a" * 300, "x" * 20_000, "é", "é", "<&>"]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**18, -(10**400), *NO_JSON_OF_PYTHON]),
    st.floats(),
    TEXTS,
    MOMENTS,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
TASK_EVENT_FIELDS = {
    "event_type": TYPES,
    "task_id": st.one_of(TEXTS, st.just("a")),
    "title": st.one_of(TEXTS, SCALARS),
    "status": st.one_of(st.sampled_from(["pending", "completed", "done"]), SCALARS),
    "timestamp": MOMENTS,
    "version": st.one_of(st.integers(), SCALARS),
    "priority": SCALARS,
    "assignee": SCALARS,
    "due_at": MOMENTS,
    "schema_version": SCALARS,
}
INTENT_FIELDS = {
    "task_id": st.one_of(TEXTS, SCALARS),
    "change_id": SCALARS,
    "replaces": SCALARS,
    "said_at": MOMENTS,
}
REFUSAL_FIELDS = {
    "id": SCALARS,
    "app_id": st.one_of(st.sampled_from(["task-api", "notification-service"]), SCALARS),
    "reason": SCALARS,
    "message": st.one_of(
        st.fixed_dictionaries({"component": SCALARS, "topic": SCALARS, "payload": SCALARS}), VALUES
    ),
    "size": SCALARS,
}


def _with_some(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _dumped(value: Any, ascii: bool) -> bytes:
    text = json.dumps(value, ensure_ascii=ascii).encode(errors="surrogatepass")
    for name, written in NO_JSON_OF_PYTHON.items():
        text = text.replace(b'"%s"' % name.encode(), written)
    return text


def _as_json(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return st.builds(_dumped, values, st.booleans())


EVENTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "specversion": st.sampled_from(["1.0", "1.0", "1.0", "0.3", 1]),
        "id": st.one_of(st.uuids().map(str), TEXTS, SCALARS),
        "source": st.one_of(st.just("me"), SCALARS),
        "type": TYPES,
    },
    optional={
        "subject": SCALARS,
        "time": MOMENTS,
        "datacontenttype": st.one_of(st.just("application/json"), SCALARS),
        "data": st.one_of(
            _with_some(TASK_EVENT_FIELDS),
            st.lists(_with_some(INTENT_FIELDS), max_size=3).map(lambda some: {"intents": some}),
            _with_some(REFUSAL_FIELDS),
            VALUES,
        ),
        "data_base64": SCALARS,
        "traceparent": st.one_of(st.just("00-1-1-00"), SCALARS),
        "topic": st.one_of(st.sampled_from(["task-events", "task-changes", "orders"]), SCALARS),
        "pubsubname": st.one_of(st.sampled_from(["pubsub", "changelog"]), SCALARS),
        "deadletterreason": SCALARS,
        "deadletterappid": SCALARS,
    },
)
DEEP = st.builds(
    lambda depth, around: b"".join((around[0], b"[" * depth, b"]" * depth, around[1])),
    st.sampled_from([100, 190, 195, 196, 197, 198, 199, 200, 201, 202, 300, 5_000, 9_990, 20_000]),
    st.sampled_from(
        [
            (b"", b""),
            *(
                (b'{"specversion":"1.0","id":"d","source":"me","type":"%s","data":' % type, b"}")
                for type in (b"task.created", b"task.completed", CHANGES_INTENDED.encode())
            ),
        ]
    ),
)
LARGE = st.builds(
    lambda text, times: text * times,
    st.sampled_from([b"x", b"\xff", b"<", b'"', b"\x01", b"[", "é".encode()]),
    st.sampled_from([100_000, 300_000, 1_500_000]),
)
OTHER_ENCODINGS = st.builds(
    lambda event, encoding: json.dumps(event, default=str).encode(encoding, errors="replace"),
    st.just({"specversion": "1.0", "id": "e", "source": "me", "type": "task.created", "data": "é"}),
    st.sampled_from(["utf-16", "utf-32", "utf-8-sig", "latin-1", "utf-7"]),
)
MESSAGES = st.one_of(
    st.binary(max_size=200),
    st.just(b""),
    _as_json(EVENTS),
    _as_json(EVENTS),
    _as_json(VALUES),
    DEEP,
    OTHER_ENCODINGS,
)
"""What may be on any topic; `LARGE` ones are apart, for their price."""
