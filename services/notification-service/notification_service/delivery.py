"""The ways in which a notification reaches a person."""

from typing import Protocol

from shared_models import Notification


class Delivery(Protocol):
    async def deliver(self, notification: Notification) -> None:
        """Deliver a notification; called again only where a process stopped inside the call."""
        ...


class ListDelivery:
    """Nothing goes out: a person looks at the list, or follows it live."""

    async def deliver(self, notification: Notification) -> None:
        return
