"""A test of the test: where the services are broken on purpose, the simulation finds it."""

from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor

import pytest

from tests.simulation.broken_code import BREAKS
from tests.simulation.exploration import Explored, explore
from tests.simulation.scenarios import small_world, world_of_late_saves

MOST_SEEDS = 10_000

# The first seeds that found each break. They are worth a first try as long as the services make
# the calls that they made then; otherwise the search begins at 0.
KEPT_SEEDS = {
    "nothing_is_said_before_the_save": 1,
    "the_change_is_said_after_the_save": 1,
    "a_change_id_is_that_of_the_version": 31,
    "the_event_is_taken_from_what_was_said": 0,
    "what_is_not_found_at_once_is_dropped": 2,
    "what_is_not_found_for_long_is_dropped_without_a_bar": 589,
    "an_open_intent_is_not_said_again": 102,
    "an_open_intent_is_said_again_for_ever": 61,
    "an_announcement_that_failed_is_given_up": 25,
    "a_save_that_failed_is_not_read_back": 169,
    "a_creation_whose_outcome_is_open_is_made_again": 124,
    "old_changes_leave_the_history_unannounced": 256,
    "every_change_is_noted_as_announced": 169,
    "a_deleted_task_leaves_with_unannounced_changes": 41,
    "a_deleted_task_is_removed_before_that_is_announced": 25,
    "a_deletion_removes_whatever_is_stored": 3,
    "a_deleted_task_is_not_removed": 24,
    "a_slow_writer_does_not_look_for_the_mark": 1017,
    "a_removed_task_leaves_no_mark": 717,
    "a_change_is_made_of_whatever_is_stored": 466,
    "nobody_looks_after_a_removal": 2977,
    "whoever_finds_the_mark_removes_the_tombstone": 62419,
    "a_task_is_removed_before_a_slow_writer_would_look": 637,
    "a_tombstone_is_kept_for_good": 1276,
    "a_bar_may_bring_a_removed_task_back": 16355,
    "an_idempotency_key_forgets_deleted_tasks": 1409,
    "the_first_attempt_of_an_idempotency_key_is_not_barred": 8230,
    "an_idempotency_key_is_noted_after_its_task": 27,
    "saves_of_tasks_do_not_name_an_etag": 31,
    "saves_of_lists_do_not_name_an_etag": 27,
    "saves_of_idempotency_keys_do_not_name_an_etag": 175,
    "saves_of_notifications_do_not_name_an_etag": 68,
    "a_failed_publication_counts_as_done": 8,
    "a_failed_save_counts_as_done": 2,
    "a_task_is_listed_after_it_is_stored": 10,
    "a_late_completion_takes_a_reopened_task_off_the_list": 141,
    "a_notification_is_sent_for_every_delivery": 14,
    "a_completion_that_could_not_be_told_is_given_up": 77,
    "a_pending_notification_counts_as_delivered": 267,
    "a_pending_notification_is_delivered_at_once": 381,
    "a_delivery_is_taken_over_while_it_is_under_way": 576,
    "a_notification_whose_mark_failed_is_forgotten": 1212,
    "a_notification_counts_as_sent_before_it_is_delivered": 0,
    "a_reserved_id_is_given_out_twice": 10,
    "a_reserved_id_is_taken_back_while_it_is_used": 10,
}

LIKELY_WORLDS = {"a_change_is_made_of_whatever_is_stored": world_of_late_saves}
"""For breaks that hardly ever show in any world."""


@pytest.fixture(scope="module")
def searches(workers: ProcessPoolExecutor) -> Mapping[str, Future[Explored]]:
    return {
        name: workers.submit(
            explore,
            [KEPT_SEEDS[name], *range(MOST_SEEDS)],
            name,
            LIKELY_WORLDS.get(name, small_world),
        )
        for name in BREAKS
    }


@pytest.mark.parametrize("broken", BREAKS)
def test_the_simulation_finds(
    broken: str, searches: Mapping[str, Future[Explored]], report: list[str]
) -> None:
    explored = searches[broken].result()
    assert explored.found, f"nothing was found in {len(explored.interleavings)} interleavings"
    if explored.found.seed != KEPT_SEEDS[broken]:
        report.append(f"simulation: {broken} is now found by seed {explored.found.seed}")
