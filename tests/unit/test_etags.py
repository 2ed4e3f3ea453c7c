"""Lists of ETags, however they are written."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from shared_models import Task
from shared_models.moments import now
from task_api.etags import Preconditions

TASK = Task(id="a", title="t", created_at=now(), updated_at=now(), version=1)

opaque = st.text("!#,*-/01W~\xe9", max_size=5).map(lambda text: f'"{text}"')
tags = opaque | opaque.map(lambda tag: f"W/{tag}") | st.sampled_from(['"1"', 'W/"1"'])
gaps = st.text(" \t", max_size=3)
empty = st.just("")


@given(st.lists(st.tuples(gaps, tags | empty, gaps), min_size=1))
def test_a_list_means_its_members_that_are_not_empty(parts: list[tuple[str, str, str]]) -> None:
    header = ",".join("".join(part) for part in parts)
    members = [tag for _, tag, _ in parts if tag]
    if not members:
        for name in ("if_match", "if_none_match"):
            with pytest.raises(HTTPException, match="400"):
                Preconditions(**{name: header})
        return
    asked = Preconditions(if_match=header, if_none_match=header)
    assert asked.allow_read(TASK) == ('"1"' in members)
    assert asked.has_version(TASK) == ('"1"' in members or 'W/"1"' in members)
    assert not asked.allow_change(TASK)  # none fits both


@given(st.text(st.characters(max_codepoint=0xFF)))
def test_any_header_is_a_list_or_refused(header: str) -> None:
    with suppress(HTTPException):
        Preconditions(if_match=header).allow_read(TASK)


@pytest.mark.parametrize(
    "header", [" " * 60_000 + "x", "," * 60_000 + "x", '"1" ' * 15_000, '"' * 60_001]
)
def test_a_long_header_is_read_at_once(header: str) -> None:
    with pytest.raises(HTTPException):
        Preconditions(if_match=header).allow_read(TASK)
