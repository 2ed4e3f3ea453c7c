"""Longer stories than the explored ones, made up and cut down to the point by hypothesis."""

from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from shared_models import TaskStatus
from tests.simulation.clients import Client, Create, Delete, Edit, Request, SetStatus, Wanted
from tests.simulation.decisions import Decisions
from tests.simulation.scenarios import FIRST, first_task, small_limits, starts
from tests.simulation.simulated_world import World

ANSWERS = st.binary(min_size=1, max_size=30)
"""What happens next and how; zeros are tame."""


@pytest.fixture(autouse=True, scope="module")
def _limits() -> Iterator[None]:
    with small_limits():
        yield


class Story(RuleBasedStateMachine):
    """Clients ask, some things happen, processes are hit; in the end all is settled."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: deque[int] = deque()
        self._titles = 0

    @initialize(start=st.sampled_from(("a new task", "a completed task", "nothing")))
    def begin(self, start: str) -> None:
        self.world = World(
            Decisions(lambda: self._answers.popleft() / 256 if self._answers else 0),
            starts()[start],
            fault_rate=0.2,
        )
        self._wanted = [first_task(starts()[start])]

    @rule(
        key=st.sampled_from((None, None, FIRST, "other")),
        also=st.sampled_from(("nothing", "completed", "deleted")),
    )
    def a_client_makes_a_task(self, key: str | None, also: str) -> None:
        wanted = Wanted()
        self._wanted.append(wanted)
        requests: list[Request] = [Create(key or self._title(), wanted, key)]
        if also == "completed":
            requests.append(SetStatus(wanted, TaskStatus.COMPLETED))
        elif also == "deleted":
            requests.append(Delete(wanted))
        Client(self.world, requests)

    @rule(status=st.sampled_from(TaskStatus), which=st.integers(0, 3))
    def a_client_sets_a_status(self, status: TaskStatus, which: int) -> None:
        Client(self.world, [SetStatus(self._task(which), status)])

    @rule(which=st.integers(0, 3))
    def a_client_edits(self, which: int) -> None:
        Client(self.world, [Edit(self._task(which), self._title())])

    @rule(which=st.integers(0, 3))
    def a_client_deletes(self, which: int) -> None:
        Client(self.world, [Delete(self._task(which))])

    @rule(answers=ANSWERS)
    def it_goes_on(self, answers: bytes) -> None:
        self._go_on(answers)

    @rule(answers=ANSWERS, faults=st.integers(1, 3))
    def it_goes_on_badly(self, answers: bytes, faults: int) -> None:
        self.world.faults = faults
        self._go_on(answers)
        self.world.faults = 0

    @precondition(lambda self: self.world.pending)
    @rule(answers=ANSWERS)
    def a_process_is_hit(self, answers: bytes) -> None:
        self._answers.extend(answers)
        self.world.hit_a_process()
        self._answers.clear()

    @invariant()
    def no_rule_is_broken(self) -> None:
        ledger = self.world.ledger
        assert not ledger.violations or ledger.hole(), self.world.story()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.run()
            assert not self.world.check() or self.world.ledger.hole(), self.world.story()

    def _go_on(self, answers: bytes) -> None:
        self._answers.extend(answers)
        while self._answers and self.world.step():
            pass
        self._answers.clear()

    def _task(self, which: int) -> Wanted:
        return self._wanted[which % len(self._wanted)]

    def _title(self) -> str:
        self._titles += 1
        return f"title {self._titles}"


test_stories = Story.TestCase
test_stories.settings = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
