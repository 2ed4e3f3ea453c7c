"""Messages that a sidecar gave up on: they are given to their app again, until it is back.

A sidecar may give up on a message when it was asked to try again for too long, and then sends it to
the dead-letter topic. That is an outage of the app or of a part that it needs, so it is no dead
letter. What an app refuses then, and what it asks for again too often, becomes one.
"""

import asyncio
from datetime import timedelta
from typing import NoReturn

import structlog
from pydantic import BaseModel

from notification_service.dead_letters import AT_ONCE, DeadLetters
from notification_service.redelivery import Redelivery
from service_kit.ports import Conflict, StateStore, Unavailable
from service_kit.records import Records
from service_kit.refusals import letter_id, refusal_of
from shared_models import Fate, Message
from shared_models.moments import Moment, now

log = structlog.get_logger()

PAGE = 100
LONGEST_PAUSE = timedelta(minutes=5)


class _Undelivered(BaseModel):
    """A message that waits for one app."""

    id: str
    app_id: str
    message: Message
    attempts: int = 0
    """How often the app was there and asked for it again."""
    due_at: Moment


class Undelivered:
    """What waits for its app.

    Args:
        pause: from one look to the next. It doubles for a message each time that its app asks for
            it again.
        most_attempts: how often an app may do that.
    """

    def __init__(
        self,
        store: StateStore,
        redelivery: Redelivery,
        dead_letters: DeadLetters,
        pause: timedelta,
        most_attempts: int,
    ) -> None:
        self._records = Records(store, "undelivered", _Undelivered)
        self._redelivery = redelivery
        self._dead_letters = dead_letters
        self._pause = pause
        self._most_attempts = most_attempts

    async def add(self, app_id: str, message: Message) -> None:
        """Have a message given to an app again; the same one is given once."""
        id = letter_id(app_id, message)
        log.warning("message_undelivered", app_id=app_id, topic=message.topic, letter_id=id)
        waiting = _Undelivered(id=id, app_id=app_id, message=message, due_at=now())
        await self._records.add(id, waiting)

    async def deliver_for_ever(self) -> NoReturn:
        """Give the messages to their apps whenever they are due."""
        while True:
            await asyncio.sleep(self._pause.total_seconds())
            try:
                await self.deliver_due()
            except Unavailable as error:
                log.warning("redelivery_postponed", reason=str(error))
            except Exception:
                log.exception("redelivery_failed")

    async def deliver_due(self) -> None:
        """Give each message that is due to its app once; those of an app that is away wait."""
        away: set[str] = set()
        turns = asyncio.Semaphore(AT_ONCE)

        async def deliver(waiting: _Undelivered) -> None:
            async with turns:
                due = waiting.app_id not in away and waiting.due_at <= now()
                if due and not await self._deliver(waiting):
                    away.add(waiting.app_id)

        cursor: str | None = None
        while True:
            page = await self._records.newest_first(PAGE, cursor)
            await asyncio.gather(*map(deliver, page.items))
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _deliver(self, waiting: _Undelivered) -> bool:
        """Give a message to its app; return False where the app is away."""
        try:
            verdict = await self._redelivery.redeliver(waiting.app_id, waiting.message)
        except Unavailable:
            return False
        if verdict.fate is Fate.REFUSED:
            await self._give_up(waiting, verdict.reason)
        elif verdict.fate is Fate.HANDLED:
            await self._records.remove(waiting.id)
        elif waiting.attempts + 1 >= self._most_attempts:
            times = f"Asked for again {self._most_attempts} times, the last time because"
            await self._give_up(waiting, f"{times}: {verdict.reason}")
        else:
            await self._postpone(waiting)
        return True

    async def _give_up(self, waiting: _Undelivered, reason: str) -> None:
        """Make a dead letter of a message."""
        await self._dead_letters.keep(refusal_of(waiting.app_id, waiting.message, reason))
        await self._records.remove(waiting.id)

    async def _postpone(self, waiting: _Undelivered) -> None:
        pause = min(self._pause * 2 ** (waiting.attempts + 1), LONGEST_PAUSE)
        later = {"attempts": waiting.attempts + 1, "due_at": now() + pause}
        try:
            await self._records.change(waiting.id, lambda each: each.model_copy(update=later))
        except Conflict:
            return  # another replica had it handled, or postponed it
