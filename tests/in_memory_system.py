"""Both services in memory, with a broker between them that the test turns by hand."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from types import TracebackType
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response
from pydantic import BaseModel

import notification_service.in_memory_adapters
import notification_service.main
import notification_service.settings
import task_api.in_memory_adapters
import task_api.main
import task_api.settings
from service_kit.in_memory_adapters import InMemoryStateStore
from service_kit.ports import Unavailable
from shared_models import (
    CloudEvent,
    Message,
    NotificationReceipt,
    NotificationRequest,
    Verdict,
)
from tests.deliveries import bulk, statuses

TASK_API, NOTIFICATIONS = "task-api", "notification-service"
SUBSCRIPTIONS = {
    "task-changes": (TASK_API,),
    "task-events": (TASK_API, NOTIFICATIONS),
    "task-events-dead": (NOTIFICATIONS,),
}
MOST_ROUNDS = 50


class InMemorySystem:
    """Two services and a broker; start it as a context manager.

    Args:
        redelivery_pause: from one look for what a sidecar gave up on to the next.
    """

    def __init__(self, redelivery_pause: timedelta = timedelta(days=1)) -> None:
        self.away: set[str] = set()
        """App-ids of services, and paths of methods, that nobody reaches."""
        self._waiting: dict[tuple[str, str], list[bytes]] = defaultdict(list)
        self._stack = ExitStack()
        self._store = InMemoryStateStore()
        broker = _Broker(self)
        self.tasks = TestClient(
            task_api.main.create_app(
                task_api.settings.Settings(intent_grace=timedelta(0)),
                adapters=task_api.in_memory_adapters.in_memory_adapters()._replace(
                    publisher=broker, changelog=broker, notifier=_Invocations(self)
                ),
            )
        )
        self.notifications = TestClient(
            notification_service.main.create_app(
                notification_service.settings.Settings(
                    redelivery_pause=redelivery_pause, redelivery_attempts=3
                ),
                notification_service.in_memory_adapters.in_memory_adapters()._replace(
                    store=self._store, publisher=broker, redelivery=_Invocations(self)
                ),
            )
        )

    def __enter__(self) -> "InMemorySystem":
        self._stack.enter_context(self.tasks)
        self._stack.enter_context(self.notifications)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def add(self, topic: str, *payloads: bytes) -> None:
        """Have the broker take messages, whoever sent them."""
        for app_id in SUBSCRIPTIONS[topic]:
            self._waiting[app_id, topic].extend(payloads)

    def deliver(self) -> None:
        """Deliver what the broker has, and what follows from it, until nothing is left."""
        for _ in range(MOST_ROUNDS):
            due = [key for key, payloads in self._waiting.items() if payloads]
            due = [key for key in due if key[0] not in self.away]
            if not due:
                return
            for app_id, topic in due:
                payloads = self._waiting.pop((app_id, topic))
                answers = self._post(app_id, topic, payloads)
                again = [
                    payload
                    for payload, status in zip(payloads, answers, strict=True)
                    if status == "RETRY"
                ]
                self._waiting[app_id, topic].extend(again)
        raise AssertionError(f"still delivered after {MOST_ROUNDS} rounds: {self._waiting}")

    def complete_a_task(self) -> str:
        """Create and complete a task; return its id."""
        task_id: str = self.tasks.post("/tasks", json={"title": "a"}).json()["id"]
        url = f"/tasks/{task_id}/status"
        assert self.tasks.put(url, params={"status": "completed"}).status_code == 200
        return task_id

    def notified(self, task_id: str) -> list[dict[str, Any]]:
        return self._items("/notifications", task_id=task_id)

    def letters(self, **query: str) -> list[dict[str, Any]]:
        return self._items("/dead-letters", limit="100", **query)

    def undelivered(self) -> int:
        """Return how many messages wait that a sidecar gave up on."""
        return sum(key.startswith("undelivered-") for key in list(self._store.values))

    def activity(self) -> list[dict[str, Any]]:
        return self._items("/activity")

    def invoke(self, app_id: str, caller: str, path: str, body: bytes) -> bytes:
        """Invoke a method of a service as a sidecar does."""
        if not self.away.isdisjoint((app_id, path)):
            raise Unavailable(f"{path} of {app_id} is away")
        headers = {"dapr-api-token": "token", "dapr-caller-app-id": caller}
        answer = self._client(app_id).post(
            path, content=body, headers={**headers, "content-type": "application/json"}
        )
        assert answer.status_code == 200, answer.text
        return answer.content

    def _client(self, app_id: str) -> TestClient:
        return self.tasks if app_id == TASK_API else self.notifications

    def _items(self, path: str, **query: str) -> list[dict[str, Any]]:
        answer: Response = self.notifications.get(path, params=query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def _post(self, app_id: str, topic: str, payloads: Sequence[bytes]) -> list[str]:
        answer = self._client(app_id).post(
            f"/events/{topic}", json=bulk(topic, *payloads), headers={"dapr-api-token": "token"}
        )
        assert answer.status_code == 200, answer.text
        return statuses(answer)


class _Broker:
    def __init__(self, system: InMemorySystem) -> None:
        self._system = system

    async def publish(self, topic: str, event: CloudEvent) -> None:
        self._system.add(topic, event.model_dump_json(exclude_none=True).encode())


class _Invocations:
    """Calls from one service to the other."""

    def __init__(self, system: InMemorySystem) -> None:
        self._system = system

    async def notify(self, request: NotificationRequest) -> NotificationReceipt:
        answer = await self._invoke(NOTIFICATIONS, TASK_API, "/notify", request)
        return NotificationReceipt.model_validate_json(answer)

    async def redeliver(self, app_id: str, message: Message) -> Verdict:
        answer = await self._invoke(app_id, NOTIFICATIONS, "/redeliver", message)
        return Verdict.model_validate_json(answer)

    async def _invoke(self, app_id: str, caller: str, path: str, body: BaseModel) -> bytes:
        # In a thread: the service that is invoked may invoke this one before it answers.
        return await asyncio.to_thread(
            self._system.invoke, app_id, caller, path, body.model_dump_json().encode()
        )
