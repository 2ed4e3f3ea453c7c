"""What task-api makes of the answers of `notify`."""

import pytest

from service_kit.dapr_adapters import DaprInvoker, InvocationAnswer
from service_kit.messages import Unprocessable
from service_kit.ports import Unavailable
from shared_models import NotificationRequest, NotificationStatus
from task_api.dapr_adapters import DaprNotifier

REQUEST = NotificationRequest(type="task_completed", task_id="a", message="done", event_id="a:2")


class Answering(DaprInvoker):
    def __init__(self, status: int, body: bytes) -> None:
        self._answer = InvocationAnswer(status, body)

    async def post(self, app_id: str, method: str, body: bytes) -> InvocationAnswer:
        return self._answer


async def test_a_receipt_says_that_the_notification_was_sent() -> None:
    invoker = Answering(200, b'{"id": "n", "status": "sent"}')
    receipt = await DaprNotifier(invoker, "notification-service").notify(REQUEST)
    assert receipt.status is NotificationStatus.SENT


@pytest.mark.parametrize("body", [b"", b"{}", b"EOF"])
async def test_an_answer_without_a_receipt_is_an_outage(body: bytes) -> None:
    with pytest.raises(Unavailable, match="without a receipt"):
        await DaprNotifier(Answering(200, body), "notification-service").notify(REQUEST)


async def test_a_refusal_is_worth_no_retry() -> None:
    with pytest.raises(Unprocessable, match="422"):
        await DaprNotifier(Answering(422, b"no"), "notification-service").notify(REQUEST)
