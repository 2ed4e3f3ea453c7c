"""Calls on their way between a process and what it calls, and all that can become of them."""

import asyncio
from collections.abc import Callable
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from service_kit.ports import Conflict, Unavailable
from shared_models import NotificationReceipt, NotificationRequest

if TYPE_CHECKING:
    from tests.simulation.processes import NotificationService, Process

GIVEN_UP_AFTER = 0.01
"""Seconds after which a process gives up a call, as the adapters of all ports do."""


LATEST = 0.04
"""Seconds after which a call that was sent has taken effect, or never will."""


class Event(IntEnum):
    """What the course of a world consists of."""

    EFFECT = 0
    ANSWER = auto()
    ERROR = auto()
    REQUEST = auto()
    DELIVERY = auto()
    TIMER = auto()
    FREEZE = auto()
    THAW = auto()
    STOP = auto()


class Fault(Enum):
    """What can become of a call, other than its effect and then its answer."""

    FAILS_BEFORE = auto()
    HELD = auto()
    """The call is under way for long."""
    GIVEN_UP = auto()
    NEVER_ENDS = auto()
    """Neither an effect nor an answer nor an error, until the process is stopped."""
    FAILS_AFTER = auto()
    LATE = auto()
    """An error at once, and the effect long after."""
    ANSWER_HELD = auto()
    ANSWER_LOST = auto()
    DOUBLED = auto()
    """The effect comes again long after."""
    DOUBLED_AT_ONCE = auto()
    """The effect comes twice, and the answer is of the second."""


FAULTS_OF_READS = (Fault.FAILS_BEFORE, Fault.HELD, Fault.GIVEN_UP, Fault.NEVER_ENDS)
FAULTS_OF_WRITES = tuple(Fault)


class Step(Protocol):
    """Something that can happen next."""

    def happen(self) -> None: ...


class HeldStep(Step, Protocol):
    """Something that happens late."""

    @property
    def latest(self) -> float:
        """Until when it happens."""
        ...


class Outcome(NamedTuple):
    value: object = None
    error: Exception | None = None


class Call:
    """A call of a process to the store or the broker."""

    def __init__(
        self,
        process: "Process",
        future: asyncio.Future[Any],
        effect: Callable[[], Any],
        what: tuple[object, ...],
        *,
        writes: bool,
    ) -> None:
        self.process = process
        self.number = process.world.number(process.number, *what)
        self._future = future
        self._effect = effect
        self._writes = writes
        self.latest = process.world.time.now + LATEST

    def happen(self) -> None:
        world = self.process.world
        if world.faults and not self.process.loop.stopped:
            fault = world.fault(FAULTS_OF_WRITES if self._writes else FAULTS_OF_READS)
            if fault:
                self._fail(fault)
                return
        if self._writes and world.decisions.below(2):
            self.take_effect(self.answer_later)
        else:
            self.take_effect(self.answer)

    def take_effect(self, then: Callable[[Outcome], None]) -> None:
        self.process.world.note(Event.EFFECT, self.number)
        try:
            outcome = Outcome(self._effect())
        except (Conflict, Unavailable) as error:
            outcome = Outcome(error=error)
        then(outcome)

    def answer(self, outcome: Outcome) -> None:
        if self._future.done() or self.process.loop.stopped:
            return
        self.process.world.note(Event.ERROR if outcome.error else Event.ANSWER, self.number)
        if outcome.error:
            self._future.set_exception(outcome.error)
        else:
            self._future.set_result(outcome.value)
        self.process.loop.run_ready()

    def answer_later(self, outcome: Outcome) -> None:
        self.process.world.pending.append(Answer(self, outcome))

    def _fail(self, fault: Fault) -> None:
        world = self.process.world
        if fault is Fault.FAILS_BEFORE:
            self._answer_error()
        elif fault is Fault.HELD:
            world.held.append(self)
        elif fault is Fault.GIVEN_UP:
            self._give_up()
        elif fault is Fault.NEVER_ENDS:
            self.process.waits_for_ever = True
        elif fault is Fault.FAILS_AFTER:
            self.take_effect(lambda outcome: self._answer_error())
        elif fault is Fault.LATE:
            world.held.append(Effect(self))
            self._answer_error()
        elif fault is Fault.ANSWER_HELD:
            self.take_effect(lambda outcome: world.held.append(Answer(self, outcome)))
        elif fault is Fault.ANSWER_LOST:
            self.take_effect(lambda outcome: self._give_up())
        elif fault is Fault.DOUBLED:
            world.held.append(Effect(self))
            self.take_effect(self.answer)
        elif fault is Fault.DOUBLED_AT_ONCE:
            self.take_effect(lambda first: self.take_effect(self.answer))

    def _answer_error(self) -> None:
        self.answer(Outcome(error=Unavailable("simulated")))

    def _give_up(self) -> None:
        self.process.loop.call_later(GIVEN_UP_AFTER, self._answer_error)


class Answer:
    """The answer to a call, on its way back."""

    def __init__(self, call: Call, outcome: Outcome) -> None:
        self._call = call
        self._outcome = outcome
        self.latest = call.latest

    def happen(self) -> None:
        self._call.answer(self._outcome)


class Effect:
    """The effect of a call whose caller is not waiting for it any more."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.latest = call.latest

    def happen(self) -> None:
        self._call.take_effect(lambda outcome: None)


class Invocation(Call):
    """A call of task-api to the method `notify` of notification-service."""

    def __init__(
        self, process: "Process", future: asyncio.Future[Any], request: NotificationRequest
    ) -> None:
        super().__init__(process, future, lambda: None, ("notify", request.event_id), writes=True)
        self._request = request

    def take_effect(self, then: Callable[[Outcome], None]) -> None:
        def done(notified: asyncio.Task[NotificationReceipt]) -> None:
            error = notified.exception()
            if error is None:
                then(Outcome(notified.result()))
            else:
                then(Outcome(error=Unavailable(f"answered 503: {error}")))

        service: NotificationService = self.process.world.notification_service()
        service.world.note(Event.REQUEST, service.number)
        service.start(
            service.notify(self._request),
            done,
            lambda: then(Outcome(error=Unavailable("the process was stopped"))),
        )
