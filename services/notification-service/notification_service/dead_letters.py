"""What an app could not handle: why, and a way back."""

import asyncio
import base64
from contextlib import suppress
from typing import Any

from pydantic import model_validator
from pydantic_core import to_json

from notification_service.redelivery import Redelivery
from notification_service.subscribers import Subscribers
from service_kit.messages import as_text, is_event, shown_event
from service_kit.ports import Conflict, StateStore, Unavailable
from service_kit.records import Records
from shared_models import DeadLetter, Discarded, Fate, Page, Refusal, Replayed, Verdict
from shared_models.moments import Moment, now

AT_ONCE = 16
"""Messages that are on their way back to their apps together."""


class DeadLetterNotFound(Exception):
    """No dead letter has this id."""


class NotReplayable(Exception):
    """There is no app that the message could go back to."""


class KeptLetter(Refusal):
    """A dead letter as it is stored. Nothing in it depends on what the message is."""

    received_at: Moment

    @model_validator(mode="before")
    @classmethod
    def _of_the_version_before(cls, stored: dict[str, Any]) -> dict[str, Any]:
        """Accept a letter that holds an event, or its bytes as text, and no origin."""
        if "message" in stored:
            return stored
        event = stored.get("event")
        payload = to_json(event) if event is not None else str(stored.get("payload")).encode()
        message = {"component": "", "topic": "", "payload": base64.b64encode(payload).decode()}
        return {"app_id": None, **stored, "message": message, "size": len(payload)}

    def shown(self) -> DeadLetter:
        message = self.message
        event = shown_event(message.payload)
        return DeadLetter(
            id=self.id,
            reason=self.reason,
            app_id=self.app_id,
            component=message.component or None,
            topic=message.topic or None,
            event=event,
            payload=as_text(message.payload) if event is None else None,
            size=self.size,
            received_at=self.received_at,
        )


class DeadLetters:
    """The dead letters of both services, one for each message and app.

    Args:
        subscribers: the apps that a message is for, where it does not say which one refused it.
        redelivery: takes the messages back to their apps.
    """

    def __init__(self, store: StateStore, subscribers: Subscribers, redelivery: Redelivery) -> None:
        self._records = Records(store, "dead-letter", KeptLetter)
        self._subscribers = subscribers
        self._redelivery = redelivery
        self._replaying: dict[str, asyncio.Task[DeadLetter | None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def keep(self, refusal: Refusal) -> None:
        """Keep a message that was refused; the same one is kept once."""
        letter = KeptLetter(**dict(refusal), received_at=now())
        await self._records.add(letter.id, letter)

    async def get(self, id: str) -> DeadLetter:
        return (await self._get(id)).shown()

    async def find(
        self, limit: int, cursor: str | None = None, reason: str | None = None
    ) -> Page[DeadLetter]:
        """Return a page of dead letters, the last to arrive first."""
        page = await self._page(limit, cursor, reason)
        return Page(items=[each.shown() for each in page.items], next_cursor=page.next_cursor)

    async def replay(self, id: str) -> DeadLetter | None:
        """Give the message back to the app that refused it.

        Several calls at once are one.

        Returns:
            None where the app handled it, so that it is no dead letter any more; else the letter,
            with what the app said of it this time.

        Raises:
            Unavailable: the app, or a part that it needs, is away; the letter stays.
        """
        replaying = self._replaying.get(id)
        if replaying is None:
            replaying = self._replaying[id] = asyncio.create_task(self._replay(id))
            replaying.add_done_callback(lambda _: self._replaying.pop(id))
        return await asyncio.shield(replaying)

    async def replay_many(self, limit: int, cursor: str | None, reason: str | None) -> Replayed:
        """Replay a page of the dead letters, all of them or those with one reason."""

        async def handled(letter: KeptLetter) -> bool:
            try:
                async with self._turns:
                    return await self.replay(letter.id) is None
            except DeadLetterNotFound:
                return True
            except (NotReplayable, Unavailable):
                return False

        page = await self._page(limit, cursor, reason)
        count = sum(await asyncio.gather(*map(handled, page.items)))
        kept = len(page.items) - count
        return Replayed(count=count, kept=kept, next_cursor=page.next_cursor)

    async def discard(self, id: str) -> None:
        if not await self._records.remove(id):
            raise _not_found(id)

    async def discard_many(self, limit: int, cursor: str | None, reason: str | None) -> Discarded:
        """Discard a page of the dead letters, all of them or those with one reason."""
        page = await self._page(limit, cursor, reason)
        await asyncio.gather(*(self._records.remove(each.id) for each in page.items))
        return Discarded(count=len(page.items), next_cursor=page.next_cursor)

    async def _page(self, limit: int, cursor: str | None, reason: str | None) -> Page[KeptLetter]:
        return await self._records.newest_first(
            limit,
            cursor,
            wanted=lambda letter: reason in (None, letter.reason),
            filters=(reason,),
        )

    async def _get(self, id: str) -> KeptLetter:
        letter = await self._records.get(id)
        if letter is None:
            raise _not_found(id)
        return letter

    async def _replay(self, id: str) -> DeadLetter | None:
        letter = await self._get(id)
        verdict = await self._verdict(letter)
        if verdict.fate is Fate.LATER:
            raise Unavailable(f"Dead letter {id} stays for now: {verdict.reason}")
        if verdict.fate is Fate.HANDLED:
            await self._records.remove(id)
            return None
        return await self._stays(letter, verdict.reason)

    async def _verdict(self, letter: KeptLetter) -> Verdict:
        """Have the apps that the message is for handle it, until one does not."""
        message = letter.message
        if not is_event(message.payload) or len(message.payload) < letter.size:
            raise NotReplayable("The message is no event in full: it can only be discarded.")
        if not message.topic:
            message = self._subscribers.with_origin(message.payload)
        apps = self._subscribers.of(message)
        if letter.app_id is not None:
            # Anybody who may publish can name an app, and what is invoked by it is a URL.
            apps = [app_id for app_id in apps if app_id == letter.app_id]
        if not apps:
            who = letter.app_id or "No app"
            raise NotReplayable(f"{who} takes no {message.topic}: it can only be discarded.")
        for app_id in apps:
            verdict = await self._redelivery.redeliver(app_id, message)
            if verdict.fate is not Fate.HANDLED:
                break
        return verdict

    async def _stays(self, letter: KeptLetter, reason: str) -> DeadLetter:
        """Note why a letter stays."""
        stays = letter.model_copy(update={"reason": reason})
        with suppress(Conflict):  # somebody replays or discards it at the same time
            await self._records.change(letter.id, lambda _: stays)
        return stays.shown()


def _not_found(id: str) -> DeadLetterNotFound:
    return DeadLetterNotFound(f"There is no dead letter {id}.")
