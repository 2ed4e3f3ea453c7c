"""notification-service on its Dapr sidecar."""

from pydantic import ValidationError

from notification_service.adapters import Adapters
from notification_service.delivery import ListDelivery
from notification_service.settings import Settings
from service_kit.dapr_adapters import (
    DaprInvoker,
    DaprPublisher,
    DaprSecrets,
    DaprSidecar,
    DaprStateStore,
)
from service_kit.ports import Unavailable
from service_kit.subscriptions import REDELIVER
from shared_models import Message, Verdict


class DaprRedelivery:
    """The other services, found by their app-ids."""

    def __init__(self, invoker: DaprInvoker) -> None:
        self._invoker = invoker

    async def redeliver(self, app_id: str, message: Message) -> Verdict:
        body = message.model_dump_json().encode()
        answer = await self._invoker.post(app_id, REDELIVER, body)
        if answer.status != 200:
            raise Unavailable(f"{app_id} answered {REDELIVER} with {answer.status}.")
        try:
            return Verdict.model_validate_json(answer.body)
        except ValidationError as error:
            # Dapr 1.18 may answer 200 without a body where the service died before it answered.
            raise Unavailable(f"{app_id} answered {REDELIVER} without a verdict.") from error


def connect(settings: Settings) -> Adapters:
    sidecar = DaprSidecar(
        settings.dapr_http_port, settings.dapr_grpc_port, settings.sidecar_timeout
    )
    return Adapters(
        sidecar=sidecar,
        store=DaprStateStore(sidecar, settings.state_store),
        publisher=DaprPublisher(sidecar, settings.pubsub),
        secrets=DaprSecrets(sidecar, settings.secret_store),
        delivery=ListDelivery(),
        redelivery=DaprRedelivery(DaprInvoker(sidecar)),
    )
