"""A test of the test: where the services are broken on purpose, the simulation finds it."""

from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor

import pytest

from tests.simulation.broken_code import BREAKS
from tests.simulation.exploration import ALWAYS, Explored, explore

MOST_SEEDS = 10_000

# The first seeds that found each break. They are worth a first try as long as the services make
# the calls that they made then; otherwise the search begins at 0.
KEPT_SEEDS = {
    "nothing_is_said_before_the_save": 1,
    "the_change_is_said_after_the_save": 1,
    "a_change_id_is_that_of_the_version": 4,
    "the_event_is_taken_from_what_was_said": 0,
    "what_is_not_found_at_once_is_dropped": 0,
    "what_is_not_found_for_long_is_dropped_without_a_bar": 131,
    "an_announcement_that_failed_is_given_up": 124,
    "a_save_that_failed_is_not_read_back": 2526,
    "a_creation_whose_outcome_is_open_is_made_again": 553,
    "old_changes_leave_the_history_unannounced": 470,
    "a_deleted_task_leaves_with_unannounced_changes": 20,
    "a_deleted_task_is_removed_before_that_is_announced": 21,
    "a_deletion_removes_whatever_is_stored": 4,
    "a_deleted_task_is_not_removed": 4,
    "an_idempotency_key_forgets_deleted_tasks": 109,
    "the_first_attempt_of_an_idempotency_key_is_not_barred": 1101,
    "an_idempotency_key_is_noted_after_its_task": 10,
    "saves_of_tasks_do_not_name_an_etag": 4,
    "saves_of_lists_do_not_name_an_etag": 15,
    "saves_of_idempotency_keys_do_not_name_an_etag": 138,
    "saves_of_notifications_do_not_name_an_etag": 68,
    "a_failed_publication_counts_as_done": 19,
    "a_failed_save_counts_as_done": 8,
    "a_task_is_listed_after_it_is_stored": 20,
    "a_notification_is_sent_for_every_delivery": 0,
    "a_completion_that_could_not_be_told_is_given_up": 95,
}


@pytest.fixture(scope="module")
def searches(workers: ProcessPoolExecutor) -> Mapping[str, Future[Explored]]:
    return {
        name: workers.submit(explore, [KEPT_SEEDS[name], *range(MOST_SEEDS)], ALWAYS, name)
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
