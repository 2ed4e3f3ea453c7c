"""Settings of notification-service."""

from datetime import timedelta

from service_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    app_id: str = "notification-service"
    app_port: int = 8001
    dapr_http_port: int = 3501
    dapr_grpc_port: int = 50002
    task_api_app_id: str = "task-api"
    """The one app that may invoke `notify`."""

    stream_interval: timedelta = timedelta(seconds=0.5)
    """How often the live streams look for what is new, as long as somebody follows them."""
