"""notification-service in memory, for unit tests."""

from datetime import timedelta

from notification_service.adapters import Adapters
from service_kit.in_memory_adapters import (
    InMemoryPublisher,
    InMemorySecrets,
    InMemorySidecar,
    InMemoryStateStore,
)
from shared_models import Fate, Message, Notification, Verdict


class InMemoryDelivery:
    """Remembers what was delivered, oldest first."""

    may_take = timedelta(0)

    def __init__(self) -> None:
        self.delivered: list[Notification] = []

    async def deliver(self, notification: Notification) -> None:
        self.delivered.append(notification)


class InMemoryRedelivery:
    """Answers what it is told to, and remembers what it was asked to deliver, oldest first."""

    def __init__(self) -> None:
        self.verdict = Verdict(fate=Fate.HANDLED)
        self.redelivered: list[tuple[str, Message]] = []

    async def redeliver(self, app_id: str, message: Message) -> Verdict:
        self.redelivered.append((app_id, message))
        return self.verdict


def in_memory_adapters() -> Adapters:
    return Adapters(
        sidecar=InMemorySidecar(),
        store=InMemoryStateStore(),
        publisher=InMemoryPublisher(),
        secrets=InMemorySecrets({"app-api-token": "token"}),
        delivery=InMemoryDelivery(),
        redelivery=InMemoryRedelivery(),
    )
