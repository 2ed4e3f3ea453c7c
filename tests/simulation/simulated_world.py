"""A small world that is run step by step: processes, store, broker, clients, and their faults.

Whenever all processes wait, a decision picks what happens next: the effect of a call, its answer,
the delivery of a message, a request of a client, or a fault. So each order in which the calls of
all processes can take effect is a possible course of the world. Time passes only when nothing else
can happen; what a fault holds back comes in between, before or after any timer.
"""

import asyncio
import math
import random
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar
from zlib import crc32

from notification_service.in_memory_adapters import InMemoryDelivery
from notification_service.notifications import Notifications
from service_kit.in_memory_adapters import InMemoryPublisher, InMemoryStateStore
from service_kit.ports import Conflict, Unavailable
from shared_models import CHANGES_INTENDED, CloudEvent, TaskEventType, TaskStatus
from task_api.tasks import Tasks
from tests.simulation.calls import Event, Fault, HeldStep, Step
from tests.simulation.decisions import Decisions
from tests.simulation.ledger import Ledger
from tests.simulation.processes import (
    SETTINGS,
    NotificationService,
    Process,
    TaskApi,
)
from tests.simulation.stored_state import StoredState
from tests.simulation.virtual_loop import ProcessLoop, VirtualTime

Kind = TypeVar("Kind", bound=Process)
Result = TypeVar("Result")

REPLICAS = 2
KINDS_OF_EVENT = len(Event)
MOST_STEPS = 3_000
LONGEST_LIST = 100
REDELIVERED_AFTER = 0.02
"""Seconds."""


class Message:
    """Something on the broker that was not acknowledged yet."""

    def __init__(self, world: "World", event: CloudEvent) -> None:
        self._world = world
        self.number = world.number(event.type, event.id)
        self.event = event
        self.repeated = False
        """It was delivered again while it was in hand."""

    def happen(self) -> None:
        """Deliver it to one of the replicas."""
        world = self._world
        if world.faults and world.fault((Fault.DOUBLED,)):
            world.pending.append(self)
        process = world.task_api()
        world.note(Event.DELIVERY, self.number)
        world.note(Event.DELIVERY, process.number)
        world.in_hand.append(self)
        process.start(process.handle(self.event), self._handled, self._not_handled)

    def _handled(self, work: asyncio.Task[Any]) -> None:
        world, error = self._world, work.exception()
        if error is None:
            world.in_hand.remove(self)
            if world.faults and world.fault((Fault.ANSWER_LOST,)):
                world.pending.append(self)
        elif isinstance(error, Unavailable | Conflict):
            self._not_handled()
        else:
            raise error

    def _not_handled(self) -> None:
        world = self._world
        world.in_hand.remove(self)
        if world.decisions.below(2):
            world.pending.append(self)
        else:
            world.outside.call_later(REDELIVERED_AFTER, world.pending.append, self)


class Thaw:
    """The end of a freeze, however long."""

    latest = math.inf

    def __init__(self, process: Process) -> None:
        self._process = process

    def happen(self) -> None:
        self._process.world.note(Event.THAW, self._process.number)
        self._process.loop.frozen = False
        self._process.loop.run_ready()


class Reader:
    """Reads the lists of a world that is quiet, without steps."""

    def __init__(self) -> None:
        self._store = InMemoryStateStore()
        self.tasks = Tasks(self._store, InMemoryPublisher(), InMemoryPublisher(), SETTINGS)
        self.notifications = Notifications(self._store, InMemoryDelivery())

    def show(self, state: StoredState) -> None:
        self._store.values = state.values


READER = Reader()


class World:
    """
    Args:
        start: a settled world that this one goes on from; None starts with nothing.
        faults: how many things may go wrong.
        fault_rate: how probable that is at each call; a process is hit a quarter as often.
        redis: the store takes a save with an ETag where the key is gone, as Redis does.
    """

    def __init__(
        self,
        decisions: Decisions,
        start: "World | None" = None,
        *,
        faults: int = 0,
        fault_rate: float = 0.0,
        redis: bool = True,
    ) -> None:
        random.seed(0)  # the pauses after conflicts are drawn from it
        self.decisions = decisions
        self.faults = faults
        self.setting = ""
        """What is asked for, in words."""
        self.course: list[int] = []
        """All that happened, in order; `story` says it in words."""
        self._numbered: list[tuple[object, ...]] = [("time",)]
        self._fault_rate = fault_rate
        self.time: VirtualTime = VirtualTime(start.time.now if start else 0.0)
        self.outside = ProcessLoop.new(self.time)
        """The event loop of what is no process."""
        self.ledger: Ledger = start.ledger.copy() if start else Ledger()
        self._stored_before = len(self.ledger.stored)
        self.state: StoredState = StoredState(self.ledger, redis=redis)
        if start:
            self.state.take_over(start.state)
        self.pending: list[Step] = []
        """What can happen next."""
        self.held: list[HeldStep] = []
        """What a fault holds back until nothing else can happen but that time passes."""
        self.in_hand: list[Message] = []
        self._replicas: dict[type[Process], list[Process | None]] = {
            TaskApi: [None] * REPLICAS,
            NotificationService: [None] * REPLICAS,
        }

    def number(self, *what: object) -> int:
        """Return a number for something that the course of the world will name."""
        self._numbered.append(what)
        return len(self._numbered) - 1

    def note(self, event: Event, number: int) -> None:
        self.course.append(number * KINDS_OF_EVENT + event)

    def interleaving(self) -> int:
        """Return a number that stands for all that was asked for and happened."""
        return hash((crc32(self.setting.encode()), *self.course))

    def story(self) -> str:
        """Return all that happened, one event a line."""
        lines = [self.setting]
        for entry in self.course:
            number, event = divmod(entry, KINDS_OF_EVENT)
            what = " ".join(str(each) for each in self._numbered[number])
            lines.append(f"{Event(event).name} #{number} {what}")
        return "\n".join(lines)

    def run(self) -> None:
        """Go on until nothing can happen any more."""
        for _ in range(MOST_STEPS):
            if not self.step():
                return
        self.ledger.violated(f"it goes on after {MOST_STEPS} steps")

    def step(self) -> bool:
        """Let one thing happen; return False where nothing can happen any more."""
        if not self.pending:
            return self._let_time_pass()
        if self.faults and self.decisions.happens(self._fault_rate / 4):
            self.hit_a_process()
        elif self.pending:
            self.pending.pop(self.decisions.below(len(self.pending))).happen()
        return True

    def fault(self, possible: Sequence[Fault]) -> Fault | None:
        """Return one of the possible faults, if one is to happen now."""
        if not self.decisions.happens(self._fault_rate):
            return None
        self.faults -= 1
        return self.decisions.one_of(possible)

    def hit_a_process(self) -> None:
        """Stop or freeze one of the processes."""
        processes = self._processes()
        if not processes:
            return
        self.faults -= 1
        process = self.decisions.one_of(processes)
        if self.decisions.below(2) or not self._can_freeze(process):
            self.stop(process)
        else:
            self.note(Event.FREEZE, process.number)
            self.ledger.hit(process.number)
            process.loop.frozen = True
            self.held.append(Thaw(process))

    def stop(self, process: Process) -> None:
        """Stop a process; a fresh one will follow. Its calls under way may still take effect."""
        for replicas in self._replicas.values():
            for number, each in enumerate(replicas):
                if each is process:
                    replicas[number] = None
        self.note(Event.STOP, process.number)
        self.ledger.hit(process.number)
        if isinstance(process, TaskApi) and process.is_looking():
            self.ledger.looks_cut_short = True
        process.stop()

    def stop_those_that_look(self) -> None:
        """Stop the processes that look for what comes back of removed tasks."""
        for process in self._processes():
            if isinstance(process, TaskApi) and process.is_looking():
                self.stop(process)

    def take_message(self, event: CloudEvent) -> None:
        """Have the broker take an event."""
        if event.type != CHANGES_INTENDED:
            self.ledger.announce(event)
        if event.type in (CHANGES_INTENDED, TaskEventType.COMPLETED):
            self.pending.append(Message(self, event))

    def task_api(self) -> TaskApi:
        """Return the replica that the next call reaches."""
        return self._one_of(TaskApi)

    def notification_service(self) -> NotificationService:
        """Return the replica that the next call reaches."""
        return self._one_of(NotificationService)

    def check(self) -> list[str]:
        """Return how the world, now that it is quiet, does not keep the rules."""
        READER.show(self.state)
        ledger = self.ledger
        ledger.check_announcements()
        ledger.check_creations()
        ledger.check_keys(self.state.documents.values())
        fresh = [event.event_type for event in ledger.stored.values()][self._stored_before :]
        if any(event_type is not TaskEventType.UPDATED for event_type in fresh):
            ledger.check_lists(
                self._finish(READER.tasks.find(LONGEST_LIST, None)).items,
                self._finish(
                    READER.tasks.find(LONGEST_LIST, None, status=TaskStatus.PENDING)
                ).items,
            )
        if ledger.of_type(TaskEventType.COMPLETED):
            ledger.check_notifications(self._finish(READER.notifications.find(LONGEST_LIST)).items)
        if self.in_hand:
            ledger.violated("a message is still in hand")
        return ledger.violations

    def _let_time_pass(self) -> bool:
        timer, expiry = self.time.next_timer(), self.state.next_expiry()
        moment = min(timer, expiry)
        others: list[HeldStep | Message] = [each for each in self.held if each.latest < moment]
        is_due = bool(others) or moment == math.inf
        if not others:
            others += self.held
            others += [each for each in self.in_hand if self.held and not each.repeated]
        if others and (is_due or self.decisions.below(2)):
            step = self.decisions.one_of(others)
            if isinstance(step, Message):
                step.repeated = True
            else:
                self.held.remove(step)
            step.happen()
        elif expiry < timer:
            self.note(Event.TIMER, 0)
            self.time.now = expiry
            self.state.expire(expiry)
        elif timer < math.inf:
            self.note(Event.TIMER, 0)
            self.time.pass_to_next_timer()
        else:
            stuck = [each for each in self._processes() if each.waits_for_ever]
            for process in stuck:
                self.stop(process)
            return bool(stuck)
        return True

    def _processes(self) -> list[Process]:
        return [each for replicas in self._replicas.values() for each in replicas if each]

    def _can_freeze(self, process: Process) -> bool:
        """Return whether another replica would go on."""
        replicas = self._replicas[type(process)]
        return all(each is None or not each.loop.frozen for each in replicas)

    def _one_of(self, kind: type[Kind]) -> Kind:
        replicas = self._replicas[kind]
        able = [n for n, each in enumerate(replicas) if each is None or not each.loop.frozen]
        number = self.decisions.one_of(able)
        process = replicas[number]
        if process is None:
            process = replicas[number] = kind(self)
        assert isinstance(process, kind)
        return process

    def _finish(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what `work` returns, which waits for nothing."""
        loop = ProcessLoop.new(self.time)
        task = loop.create_task(work)
        loop.run_ready()
        return task.result()
