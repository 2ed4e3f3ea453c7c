"""The ways in which a notification reaches a person."""

from datetime import timedelta
from typing import Protocol

from shared_models import Notification


class Delivery(Protocol):
    may_take: timedelta
    """How long a delivery may be under way, the calls before it included. A replica that finds one
    begun waits that long before it delivers itself."""

    async def deliver(self, notification: Notification) -> None:
        """Deliver a notification; called again only where a process stopped inside the call."""
        ...


class ListDelivery:
    """Nothing goes out: a person looks at the list, or follows it live."""

    may_take = timedelta(0)

    async def deliver(self, notification: Notification) -> None:
        return
