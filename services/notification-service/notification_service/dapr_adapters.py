"""notification-service on its Dapr sidecar."""

from notification_service.adapters import Adapters
from notification_service.delivery import ListDelivery
from notification_service.settings import Settings
from service_kit.dapr_adapters import DaprPublisher, DaprSecrets, DaprSidecar, DaprStateStore


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
    )
