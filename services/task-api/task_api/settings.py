"""Settings of task-api."""

from datetime import timedelta

from service_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    app_id: str = "task-api"
    app_port: int = 8000

    request_deadline: timedelta = timedelta(seconds=10)
    """How long a request may take, retries against concurrent changes included, before its 503."""
    intent_grace: timedelta = timedelta(seconds=6)
    """How long a save may be under way before its intent bars it from happening at all."""
