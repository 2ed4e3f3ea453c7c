"""task-api in memory, for unit tests."""

from service_kit.in_memory_adapters import (
    InMemoryPublisher,
    InMemorySecrets,
    InMemorySidecar,
    InMemoryStateStore,
)
from shared_models import NotificationReceipt, NotificationRequest, NotificationStatus
from task_api.adapters import Adapters


class InMemoryNotifier:
    """Remembers what it was asked to deliver, oldest first."""

    def __init__(self) -> None:
        self.requests: list[NotificationRequest] = []

    async def notify(self, request: NotificationRequest) -> NotificationReceipt:
        self.requests.append(request)
        return NotificationReceipt(id=request.event_id or "", status=NotificationStatus.SENT)


def in_memory_adapters() -> Adapters:
    return Adapters(
        sidecar=InMemorySidecar(),
        store=InMemoryStateStore(),
        publisher=InMemoryPublisher(),
        changelog=InMemoryPublisher(),
        secrets=InMemorySecrets({"app-api-token": "token"}),
        notifier=InMemoryNotifier(),
    )
