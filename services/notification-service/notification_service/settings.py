"""Settings of notification-service."""

from datetime import timedelta

from service_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    app_id: str = "notification-service"
    app_port: int = 8001
    dapr_http_port: int = 3501
    dapr_grpc_port: int = 50002

    stream_interval: timedelta = timedelta(seconds=0.5)
    """How often the live stream looks for new notifications."""

    redelivery_pause: timedelta = timedelta(seconds=2)
    """From one look for what sidecars could not deliver to the next."""
    redelivery_attempts: int = 10
    """How often an app may ask for such a message again before it is a dead letter."""
