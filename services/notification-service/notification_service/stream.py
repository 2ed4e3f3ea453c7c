"""Notifications live, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from notification_service.notifications import Notifications
from service_kit.ports import Unavailable
from shared_models import Notification

NEWEST = 100
KEEP_ALIVE_EVERY = 30


class LiveNotifications:
    """Follows the list, so that a client sees what any replica sent.

    Args:
        interval: how often to look.
    """

    def __init__(self, notifications: Notifications, interval: timedelta) -> None:
        self._notifications = notifications
        self._interval = interval.total_seconds()

    async def events(self) -> AsyncIterator[str]:
        """Yield the server-sent events of what is sent from now on, oldest first.

        Of more than 100 notifications between two looks, only the newest 100 are sent.
        """
        seen = {each.id for each in (await self._notifications.find(NEWEST)).items}
        yield ": connected\n\n"
        quiet = 0
        while True:
            await asyncio.sleep(self._interval)
            newest = await self._newest()
            fresh = [each for each in reversed(newest) if each.id not in seen]
            for notification in fresh:
                yield f"id: {notification.id}\ndata: {notification.model_dump_json()}\n\n"
            if newest:
                seen = {notification.id for notification in newest}
            quiet = 0 if fresh else quiet + 1
            if quiet == KEEP_ALIVE_EVERY:
                quiet = 0
                yield ": still here\n\n"

    async def _newest(self) -> list[Notification]:
        try:
            return (await self._notifications.find(NEWEST)).items
        except Unavailable:
            return []  # the store is away for a moment; the next look catches up
