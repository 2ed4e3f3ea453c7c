"""The ways in which a notification reaches a person."""

from typing import Protocol

import structlog

from shared_models import Notification

log = structlog.get_logger()


class Delivery(Protocol):
    async def deliver(self, notification: Notification) -> None:
        """Deliver a notification; called again only where a process stopped inside the call."""
        ...


class LogDelivery:
    """Writes a log line, beside the list of notifications that shows it as well."""

    async def deliver(self, notification: Notification) -> None:
        log.info(
            "notification_delivered",
            notification_id=notification.id,
            task_id=notification.task_id,
            type=notification.type,
            recipient=notification.recipient,
        )
