"""What a title and a name may be."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared_models import Task, TaskCreate, TaskEvent, TaskEventType, TaskPatch
from shared_models.moments import now
from shared_models.text import Line, Name
from task_api.notifier import completed

LINE, NAME = TypeAdapter(Line), TypeAdapter(Name)

ANOTHER_LINE = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029"]
any_text = st.text(min_size=1, max_size=30)
accents = st.text(
    st.sampled_from("eéE\u0301\u0308aåA\u030aﬁ각\u1100\u1161\u11a8\u0958"), min_size=1
)


@given(any_text, st.sampled_from([*ANOTHER_LINE, "\u202d", "\u202e"]), any_text)
def test_a_line_has_no_control_characters(before: str, control: str, after: str) -> None:
    for adapter in (LINE, NAME):
        with pytest.raises(ValidationError):
            adapter.validate_python(f"a{before}{control}{after}")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1))
def test_every_other_character_is_kept_as_it_was_typed(text: str) -> None:
    text = f"a{text}".replace("\u202d", "").replace("\u202e", "")[:200]
    assert LINE.validate_python(text) == text


def test_a_name_of_any_length_is_refused_at_once() -> None:
    # To put a million marks into order would take minutes.
    with pytest.raises(ValidationError, match="at most 200 characters"):
        NAME.validate_python("a" + "\u0301\u0323" * 500_000)


@pytest.mark.parametrize(
    "text",
    ["👨‍👩‍👧 Essen", "買い物　リスト", r"C:\temp", "it's", "می‌خواهم", "\u2067שלום\u2069", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"],
)
def test_a_notification_shows_a_title_as_it_was_typed(text: str) -> None:
    title = TaskCreate(title=text).title
    assert completed("1", _event(title)).message == f"Task '{text}' has been completed"


@given(any_text | accents)
def test_a_name_is_one_name_in_each_normal_form(text: str) -> None:
    try:
        name = NAME.validate_python(text)
    except ValidationError:
        return
    assert NAME.validate_python(name) == name  # what was given out can be sent again
    assert NAME.validate_python(unicodedata.normalize("NFD", text)) == name


def test_the_length_of_a_name_is_that_of_the_form_in_which_it_is_kept() -> None:
    assert len(NAME.validate_python("e\u0301" * 200)) == 200
    with pytest.raises(ValidationError):
        NAME.validate_python("\u0958" * 101)  # which NFC takes apart


def test_what_was_stored_before_a_rule_is_read_edited_and_notified() -> None:
    old = {"title": "two\nlines", "assignee": "ann\x85e\u0301"}
    moment = now()
    task = Task(id="a", created_at=moment, updated_at=moment, version=1, **old)
    edited = TaskPatch(priority=3).applied_to(task)
    assert (edited.title, edited.assignee, edited.priority) == ("two\nlines", task.assignee, 3)
    assert TaskPatch.model_validate({"priority": None}).applied_to(task).priority == 1
    request = completed("1", TaskEvent.of(task, TaskEventType.COMPLETED))
    assert request.message == "Task 'two\nlines' has been completed"
    assert request.recipient == "ann\x85é"


def _event(title: str) -> TaskEvent:
    moment = now()
    task = Task(id="a", title=title, created_at=moment, updated_at=moment, version=2)
    return TaskEvent.of(task, TaskEventType.COMPLETED)
