"""task-api on its Dapr sidecar."""

from pydantic import ValidationError

from service_kit.dapr_adapters import (
    DaprInvoker,
    DaprPublisher,
    DaprSecrets,
    DaprSidecar,
    DaprStateStore,
)
from service_kit.messages import Unprocessable
from service_kit.ports import Unavailable
from shared_models import NotificationReceipt, NotificationRequest
from task_api.adapters import Adapters
from task_api.settings import Settings


class DaprNotifier:
    """notification-service, found by its app-id."""

    def __init__(self, invoker: DaprInvoker, app_id: str) -> None:
        self._invoker = invoker
        self._app_id = app_id

    async def notify(self, request: NotificationRequest) -> NotificationReceipt:
        answer = await self._invoker.post(
            self._app_id, "notify", request.model_dump_json().encode()
        )
        if answer.status != 200:
            raise Unprocessable(
                f"{self._app_id} answered notify with {answer.status}: "
                f"{answer.body.decode(errors='replace')}"
            )
        try:
            return NotificationReceipt.model_validate_json(answer.body)
        except ValidationError as error:
            # Dapr 1.18 may answer 200 without a body where the service died before it answered.
            raise Unavailable(
                f"{self._app_id} answered notify without a receipt: {answer.body!r}"
            ) from error


def connect(settings: Settings) -> Adapters:
    sidecar = DaprSidecar(
        settings.dapr_http_port, settings.dapr_grpc_port, settings.sidecar_timeout
    )
    return Adapters(
        sidecar=sidecar,
        store=DaprStateStore(sidecar, settings.state_store),
        publisher=DaprPublisher(sidecar, settings.pubsub),
        changelog=DaprPublisher(sidecar, settings.changelog),
        secrets=DaprSecrets(sidecar, settings.secret_store),
        notifier=DaprNotifier(DaprInvoker(sidecar), settings.notification_app_id),
    )
