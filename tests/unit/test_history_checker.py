"""The checker of the fault ledger catches each way to break the guarantee, and only that."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from faults.history import (
    COLUMNS,
    Announcement,
    Change,
    History,
    Notification,
    StoredTask,
    check,
)


def change(task_id: str, version: int, type: str, title: str, status: str = "pending") -> Change:
    return Change(
        task_id=task_id,
        version=version,
        type=f"task.{type}",
        title=title,
        status=status,
        priority=1,
        assignee=None,
        due_at=None,
        moment=f"2026-11-21T10:00:0{version}Z",
    )


KEPT = (
    change("kept", 1, "created", "load 1"),
    change("kept", 2, "completed", "load 1", "completed"),
    change("kept", 3, "updated", "load 1.1", "completed"),
    change("kept", 4, "pending", "load 1.1"),
    change("kept", 5, "completed", "load 1.1", "completed"),
)
DELETED = (
    change("deleted", 1, "created", "load 2"),
    change("deleted", 2, "completed", "load 2", "completed"),
    change("deleted", 3, "deleted", "load 2", "completed"),
)


def announced(*changes: Change) -> list[Announcement]:
    return [Announcement(f"{each.task_id}:{each.version}", each) for each in changes]


def notification(id: str, task_id: str, title: str) -> Notification:
    return Notification(id, task_id, f"Task '{title}' has been completed")


@pytest.fixture
def history() -> History:
    """A task that was completed twice and one that was deleted, as they should be."""
    return History(
        acknowledged=[*KEPT, *DELETED[:2]],
        deleted={"deleted"},
        stored={"kept": StoredTask(False, KEPT)},
        received=announced(*DELETED, *reversed(KEPT)),
        listed=[
            notification("n1", "kept", "load 1"),
            notification("n2", "kept", "load 1.1"),
            notification("n3", "deleted", "load 2"),
        ],
        delivered=["n1", "n2", "n3"],
    )


def test_a_clean_history_passes(history: History) -> None:
    verdict = check(history)
    assert verdict.clean
    assert verdict.repeated == 0
    assert check(History()).clean


def test_an_event_that_comes_again_is_counted_and_allowed(history: History) -> None:
    history.received += announced(KEPT[1], KEPT[1], DELETED[2])
    verdict = check(history)
    assert verdict.clean
    assert verdict.repeated == 3


def test_what_nobody_was_told_of_is_allowed_if_it_is_stored_and_announced(
    history: History,
) -> None:
    del history.acknowledged[1]
    assert check(history).clean


def test_a_deletion_that_is_announced_and_whose_document_is_still_there_is_allowed(
    history: History,
) -> None:
    history.stored["deleted"] = StoredTask(True, DELETED)
    assert check(history).clean


def test_what_left_the_bounded_history_of_a_document_is_known_from_its_events(
    history: History,
) -> None:
    history.stored["kept"] = StoredTask(False, KEPT[2:])
    assert check(history).clean


def test_a_notification_that_was_stored_and_whose_delivery_left_no_trace_is_allowed(
    history: History,
) -> None:
    history.delivered.remove("n2")
    assert check(history).clean


def remove(history: History, change: Change) -> None:
    history.received = [each for each in history.received if each.change != change]


def the_last_change_is_not_in_the_store(history: History) -> None:
    history.acknowledged.append(change("kept", 6, "updated", "load 1.2", "completed"))


def the_task_is_not_in_the_store(history: History) -> None:
    history.acknowledged.append(change("gone", 1, "created", "load 3"))


def another_change_is_stored_under_the_version(history: History) -> None:
    history.acknowledged.append(change("kept", 3, "updated", "load 1.2", "completed"))


def what_left_the_document_was_announced_as_another_change(history: History) -> None:
    history.stored["kept"] = StoredTask(False, KEPT[2:])
    history.acknowledged[0] = replace(KEPT[0], title="load 9")


def a_change_follows_the_deletion(history: History) -> None:
    history.acknowledged.append(change("deleted", 3, "updated", "load 2.1", "completed"))


def a_stored_change_is_not_received(history: History) -> None:
    remove(history, KEPT[2])


def the_last_stored_change_is_not_received(history: History) -> None:
    history.stored["kept"] = StoredTask(
        False, (*KEPT, change("kept", 6, "updated", "load 1.2", "completed"))
    )


def a_change_that_left_the_document_is_not_received(history: History) -> None:
    history.stored["kept"] = StoredTask(False, KEPT[3:])
    del history.acknowledged[2]
    remove(history, KEPT[2])


def a_change_before_the_deletion_is_not_received(history: History) -> None:
    remove(history, DELETED[0])


def the_deletion_is_not_received(history: History) -> None:
    remove(history, DELETED[2])


def the_deletion_of_a_task_that_is_marked_as_deleted_is_not_received(history: History) -> None:
    history.stored["deleted"] = StoredTask(True, DELETED)
    remove(history, DELETED[2])


def an_event_tells_of_a_version_that_is_not_stored(history: History) -> None:
    history.received += announced(change("kept", 6, "updated", "load 1.2", "completed"))


def an_event_tells_of_a_task_that_never_was(history: History) -> None:
    history.received += announced(change("never", 1, "created", "load 3"))


def an_event_follows_the_deletion(history: History) -> None:
    history.received += announced(change("deleted", 4, "updated", "load 2.1", "completed"))


def one_creation_made_two_tasks(history: History) -> None:
    twin = change("twin", 1, "created", "load 1")
    history.stored["twin"] = StoredTask(False, (twin,))
    history.received += announced(twin)


def a_notification_is_about_nothing(history: History) -> None:
    history.listed.append(notification("n4", "kept", "load 1.2"))


def a_delivery_is_not_listed(history: History) -> None:
    history.delivered.append("n4")


def an_event_differs_from_what_is_stored(history: History) -> None:
    remove(history, KEPT[2])
    history.received += announced(replace(KEPT[2], title="load 9"))


def an_event_comes_again_with_another_content(history: History) -> None:
    history.received += announced(replace(KEPT[2], moment="2026-11-21T11:00:00Z"))


def an_event_has_the_id_of_another(history: History) -> None:
    remove(history, KEPT[2])
    history.received.append(Announcement("kept:4", KEPT[2]))


def an_event_of_a_deleted_task_differs_from_what_was_acknowledged(history: History) -> None:
    history.acknowledged[-1] = replace(DELETED[1], priority=5)


def a_deleted_task_is_back(history: History) -> None:
    history.stored["deleted"] = StoredTask(
        False, (*DELETED[:2], change("deleted", 3, "updated", "load 2.1", "completed"))
    )


def a_completion_is_listed_under_two_ids(history: History) -> None:
    history.listed.append(notification("n4", "kept", "load 1"))
    history.delivered.append("n4")


def a_notification_is_delivered_twice(history: History) -> None:
    history.delivered.append("n3")


def a_notification_is_listed_twice(history: History) -> None:
    history.listed.append(notification("n3", "deleted", "load 2"))


def the_second_completion_is_not_notified(history: History) -> None:
    history.listed.remove(notification("n2", "kept", "load 1.1"))
    history.delivered.remove("n2")


def the_completion_of_a_deleted_task_is_not_notified(history: History) -> None:
    history.listed.remove(notification("n3", "deleted", "load 2"))
    history.delivered.remove("n3")


WRONG: dict[str, list[Callable[[History], None]]] = {
    "lost": [
        the_last_change_is_not_in_the_store,
        the_task_is_not_in_the_store,
        another_change_is_stored_under_the_version,
        what_left_the_document_was_announced_as_another_change,
        a_change_follows_the_deletion,
    ],
    "unannounced": [
        a_stored_change_is_not_received,
        the_last_stored_change_is_not_received,
        a_change_that_left_the_document_is_not_received,
        a_change_before_the_deletion_is_not_received,
        the_deletion_is_not_received,
        the_deletion_of_a_task_that_is_marked_as_deleted_is_not_received,
    ],
    "phantom": [
        an_event_tells_of_a_version_that_is_not_stored,
        an_event_tells_of_a_task_that_never_was,
        an_event_follows_the_deletion,
        one_creation_made_two_tasks,
        a_notification_is_about_nothing,
        a_delivery_is_not_listed,
    ],
    "altered": [
        an_event_differs_from_what_is_stored,
        an_event_comes_again_with_another_content,
        an_event_has_the_id_of_another,
        an_event_of_a_deleted_task_differs_from_what_was_acknowledged,
    ],
    "resurrected": [a_deleted_task_is_back],
    "notified_twice": [
        a_completion_is_listed_under_two_ids,
        a_notification_is_delivered_twice,
        a_notification_is_listed_twice,
    ],
    "not_notified": [
        the_second_completion_is_not_notified,
        the_completion_of_a_deleted_task_is_not_notified,
    ],
}


@pytest.mark.parametrize(
    ("column", "wrong"),
    [(column, wrong) for column, ways in WRONG.items() for wrong in ways],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_what_is_wrong_is_counted_once_and_in_its_column_alone(
    history: History, column: str, wrong: Callable[[History], None]
) -> None:
    wrong(history)
    assert check(history).counts() == {**dict.fromkeys(COLUMNS, 0), column: 1}


def test_every_column_is_tested() -> None:
    assert set(WRONG) == set(COLUMNS)
