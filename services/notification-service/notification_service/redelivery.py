"""The way of a message back to the app that has not handled it."""

from collections.abc import Sequence
from typing import Protocol

from service_kit.subscriptions import Subscription, judge
from shared_models import Message, Verdict


class Redelivery(Protocol):
    async def redeliver(self, app_id: str, message: Message) -> Verdict:
        """Have an app handle a message once more, and return what it says.

        Raises:
            Unavailable: the app does not answer.
        """
        ...


class RedeliveryToAll:
    """Takes messages for this service to its own subscriptions, and all others to their app."""

    def __init__(self, own_app_id: str, own: Sequence[Subscription], others: Redelivery) -> None:
        self._own_app_id = own_app_id
        self._own = own
        self._others = others

    async def redeliver(self, app_id: str, message: Message) -> Verdict:
        if app_id == self._own_app_id:
            return await judge(self._own, message)
        return await self._others.redeliver(app_id, message)
