"""Clients of task-api, and what they may be answered."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from service_kit.ports import Conflict, Unavailable
from shared_models import Task, TaskCreate, TaskStatus
from task_api.idempotency import KeyReused, TaskOfKeyDeleted
from task_api.tasks import TaskNotFound, Tasks
from tests.simulation.calls import Event
from tests.simulation.ledger import Ledger

if TYPE_CHECKING:
    from tests.simulation.simulated_world import World

Work = Coroutine[Any, Any, Any]

MOST_ATTEMPTS = 3


@dataclass
class Wanted:
    """A task that a client asks about; its id is known once somebody made it."""

    id: str | None = field(default=None, repr=False)


class Request(Protocol):
    """One thing that a client asks for."""

    @property
    def repeatable(self) -> bool:
        """Whether a client that got no answer may ask again."""
        ...

    def ask(self, tasks: Tasks) -> Work | None:
        """Return the work, or None where it makes no sense any more."""
        ...

    def check(self, answer: Any, ledger: Ledger) -> None: ...


@dataclass
class Create:
    title: str
    wanted: Wanted = field(default_factory=Wanted)
    key: str | None = None

    @property
    def repeatable(self) -> bool:
        return self.key is not None

    def ask(self, tasks: Tasks) -> Work | None:
        return tasks.create(TaskCreate(title=self.title), self.key)

    def check(self, answer: Task, ledger: Ledger) -> None:
        self.wanted.id = answer.id
        ledger.acknowledge_task(f"the creation of {self.title}", answer)
        if self.key is None and (answer.title, answer.version) != (self.title, 1):
            ledger.violated(f"the creation of {self.title} was answered with another task")


@dataclass
class Edit:
    wanted: Wanted
    title: str
    repeatable = True

    def ask(self, tasks: Tasks) -> Work | None:
        if self.wanted.id is None:
            return None
        return tasks.edit(self.wanted.id, lambda _: TaskCreate(title=self.title))

    def check(self, answer: Task, ledger: Ledger) -> None:
        ledger.acknowledge_task(f"the edit to {self.title}", answer)
        if answer.title != self.title:
            ledger.violated(f"the edit to {self.title} was answered with {answer.title}")


@dataclass
class SetStatus:
    wanted: Wanted
    status: TaskStatus
    repeatable = True

    def ask(self, tasks: Tasks) -> Work | None:
        return tasks.set_status(self.wanted.id, self.status) if self.wanted.id else None

    def check(self, answer: Task, ledger: Ledger) -> None:
        ledger.acknowledge_task(f"the status {self.status}", answer)
        if answer.status is not self.status:
            ledger.violated(f"the status {self.status} was answered with {answer.status}")


@dataclass
class Delete:
    wanted: Wanted
    repeatable = True

    def ask(self, tasks: Tasks) -> Work | None:
        return tasks.delete(self.wanted.id) if self.wanted.id else None

    def check(self, answer: None, ledger: Ledger) -> None:
        assert self.wanted.id
        ledger.acknowledge_deletion(self.wanted.id)


class Client:
    """Asks for one thing after another; where no answer comes, perhaps for the same again."""

    def __init__(self, world: "World", requests: Sequence[Request]) -> None:
        self._world = world
        self.number = world.number(requests)
        self._requests = list(reversed(requests))
        self._attempts = 0
        if requests:
            world.pending.append(self)

    def happen(self) -> None:
        """Send the next request to one of the replicas."""
        request = self._requests[-1]
        process = self._world.task_api()
        self._world.note(Event.REQUEST, self.number)
        self._world.note(Event.REQUEST, process.number)
        work = request.ask(process.tasks)
        if work is None:
            self._go_on()
            return
        self._attempts += 1
        process.start(work, partial(self._answered, request), partial(self._not_answered, request))

    def _answered(self, request: Request, work: asyncio.Task[Any]) -> None:
        ledger = self._world.ledger
        error = work.exception()
        if isinstance(error, Unavailable):
            self._not_answered(request)
            return
        if error is None:
            request.check(work.result(), ledger)
        elif not isinstance(error, TaskNotFound | TaskOfKeyDeleted | KeyReused | Conflict):
            raise error
        elif not self._fits(error, request):
            ledger.violated(f"{request} was answered with {error!r}")
        self._go_on()

    def _fits(self, error: BaseException, request: Request) -> bool:
        ledger = self._world.ledger
        if isinstance(request, Create):
            made = [event for event in ledger.stored.values() if event.title == request.title]
            deleted = any(ledger.is_deleted(event.task_id) for event in made)
            return isinstance(error, TaskOfKeyDeleted) and deleted
        assert isinstance(request, Edit | SetStatus | Delete)
        assert request.wanted.id
        return isinstance(error, TaskNotFound) and ledger.is_deleted(request.wanted.id)

    def _not_answered(self, request: Request) -> None:
        again = request.repeatable and self._attempts < MOST_ATTEMPTS
        if again and self._world.decisions.below(2):
            self._world.pending.append(self)
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._requests.pop()
        self._attempts = 0
        if self._requests:
            self._world.pending.append(self)
