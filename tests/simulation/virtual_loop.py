"""Event loops without threads, sockets and clocks: one for each simulated process.

A process is stopped by never running its loop again, as a kill would: nothing of it is cancelled,
no handler sees an exception, nothing is cleaned up.
"""

import asyncio
import heapq
import math
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeVar

Result = TypeVar("Result")

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


_Ready = tuple[Callable[..., object], tuple[Any, ...]]
"""A callback to run: slimmer than `asyncio.Handle`, as most of a simulation's time goes there."""

CONTEXT = Context()
"""That of all tasks: nothing of theirs is kept in context variables."""


class _Timer:
    """A callback to run at some time."""

    __slots__ = ("cancel_noted", "ready")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.ready: _Ready = (callback, args)
        self.cancel_noted = False

    def cancel(self) -> None:
        self.cancel_noted = True

    def cancelled(self) -> bool:
        return self.cancel_noted


class VirtualTime:
    """The time of the whole world, and what waits for it. It passes only when told to."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._timers: list[tuple[float, int, ProcessLoop, _Timer]] = []
        self._made = 0
        self._asked = 0

    def add(self, when: float, loop: "ProcessLoop", timer: _Timer) -> None:
        self._made += 1
        heapq.heappush(self._timers, (when, self._made, loop, timer))

    def next_timer(self) -> float:
        """Return when the next timer is due; infinity where there is none."""
        timers = self._timers
        while timers and (timers[0][3].cancel_noted or timers[0][2].stopped):
            heapq.heappop(timers)
        return timers[0][0] if timers else math.inf

    def pass_to_next_timer(self) -> None:
        when, _, loop, timer = heapq.heappop(self._timers)
        self.now = max(self.now, when)
        loop.run_soon(timer)
        loop.run_ready()

    def moment(self) -> datetime:
        """Return the present moment on the wall clock, never the same twice."""
        self._asked += 1
        return BEGINNING + timedelta(seconds=self.now, microseconds=self._asked)


class ProcessLoop(asyncio.AbstractEventLoop):
    """The event loop of one process. It runs until nothing is ready, when it is told to."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self._ready: deque[_Ready] = deque()
        self.stopped = False
        self.frozen = False

    @classmethod
    def new(cls, time: VirtualTime) -> "ProcessLoop":
        return cls(time)

    def run_ready(self) -> None:
        if self.frozen or not self._ready:
            return
        outside = events._get_running_loop()
        events._set_running_loop(self)
        try:
            while self._ready:
                callback, args = self._ready.popleft()
                callback(*args)
        finally:
            events._set_running_loop(outside)

    def run_soon(self, timer: _Timer) -> None:
        self.call_soon(self._run_timer, timer)

    def _run_timer(self, timer: _Timer) -> None:
        if not timer.cancel_noted:
            callback, args = timer.ready
            callback(*args)

    def stop(self) -> None:
        self.stopped = True
        self._ready.clear()

    def time(self) -> float:
        return self._time.now

    def moment(self) -> datetime:
        return self._time.moment()

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> None:
        if not self.stopped:
            self._ready.append((callback, args))

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any
    ) -> _Timer:
        return self.call_at(self._time.now + delay, callback, *args)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any
    ) -> _Timer:
        timer = _Timer(callback, args)
        self._time.add(when, self, timer)
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, Result] | Coroutine[Any, Any, Result],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[Result]:
        return asyncio.Task(coro, loop=self, context=CONTEXT)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore what nobody awaited: it may fail, and a stopped process leaves it behind."""

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False


class VirtualDatetime:
    """Takes the place of `datetime` where the services ask for the present moment."""

    fromisoformat = staticmethod(datetime.fromisoformat)

    @staticmethod
    def now(zone: tzinfo) -> datetime:
        loop = events._get_running_loop()
        assert isinstance(loop, ProcessLoop)
        return loop.moment().astimezone(zone)
