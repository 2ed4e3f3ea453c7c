"""Settings that every service beside a sidecar has, read from the environment."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _listed(text: object) -> object:
    return text.replace(",", " ").split() if isinstance(text, str) else text


def _browsers_send(origins: tuple[str, ...]) -> tuple[str, ...]:
    for each in origins:
        if each != "*" and not re.fullmatch(r"https?://[^/?#@]+", each):
            raise ValueError(f"{each!r} is no origin: write * or scheme://host[:port], and no path")
    return origins


Origins = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_browsers_send)
]
"""Separated by commas in the environment."""

LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)
]


class ServiceSettings(BaseSettings):
    """Names of components and topics are the same in every environment; see docs/flow.md.

    Durations are ISO 8601, such as `PT5S`.
    """

    model_config = SettingsConfigDict(frozen=True)

    app_id: str
    task_api_app_id: str = "task-api"
    notification_app_id: str = "notification-service"
    app_host: str = "127.0.0.1"
    """The address to listen on; empty for all, of IPv4 and of IPv6."""
    app_port: int
    dapr_http_port: int = 3500
    dapr_grpc_port: int = 50001

    state_store: str = "statestore"
    pubsub: str = "pubsub"
    changelog: str = "changelog"
    secret_store: str = "secretstore"
    task_events_topic: str = "task-events"
    task_changes_topic: str = "task-changes"
    dead_letter_topic: str = "task-events-dead"

    app_api_token_secret: str = "app-api-token"
    app_api_token: str | None = None
    """Set where the sidecar was started with a token; see `require_app_api_token`."""
    require_app_api_token: bool = True
    """Refuse callbacks without the token even where the sidecar was started without one."""

    sidecar_timeout: timedelta = timedelta(seconds=5)
    drain_for: timedelta = timedelta(0)
    """How long to go on answering after SIGTERM, for those who send requests to notice."""
    cors_origins: Origins = ()
    """Pages of these origins may call the service: `https://app.example,https://other.example`, or
    `*` for all."""
    log_json: bool = True
    log_level: LogLevel = "INFO"

    @property
    def callbacks_need_token(self) -> bool:
        return self.require_app_api_token or self.app_api_token is not None


Settings = TypeVar("Settings", bound=ServiceSettings)


class WrongSetting(Exception):
    """An environment variable does not fit the settings; the text says which and why."""


def read_settings(kind: type[Settings], **given: Any) -> Settings:
    """Return the settings of the environment.

    Args:
        given: settings above those of the environment.

    Raises:
        WrongSetting: one does not fit.
    """
    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        what = first["msg"].replace("Input should be", "it can be")
        raise WrongSetting(f"{name}={first['input']}: {what}") from None
