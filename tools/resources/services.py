"""What the services need, known before they run; a test compares it with what they say."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import notification_service.settings
import task_api.settings
from service_kit.needs import Needs
from service_kit.settings import ServiceSettings, Settings, read_settings


class Delivery(NamedTuple):
    component: str
    topic: str

    @property
    def path(self) -> str:
        return f"/events/{self.topic}"


class Publication(NamedTuple):
    """A topic that an app publishes to."""

    component: str
    topic: str


class Known(NamedTuple):
    """A service of this repository, with the settings that the run file gives it."""

    needs: Needs
    publications: Sequence[Publication]
    dead_letter_topic: str
    settings: ServiceSettings


def _task_api(variables: Mapping[str, str]) -> Known:
    settings = _settings(task_api.settings.Settings, variables)
    changes = (settings.changelog, settings.task_changes_topic)
    events = (settings.pubsub, settings.task_events_topic)
    dead = settings.dead_letter_topic
    return Known(
        Needs.of(settings, [Delivery(*changes), Delivery(*events)]),
        [Publication(*changes), Publication(*events), Publication(settings.pubsub, dead)],
        dead,
        settings,
    )


def _notification_service(variables: Mapping[str, str]) -> Known:
    settings = _settings(notification_service.settings.Settings, variables)
    events = (settings.pubsub, settings.task_events_topic)
    dead = (settings.pubsub, settings.dead_letter_topic)
    return Known(
        Needs.of(settings, [Delivery(*events), Delivery(*dead)]),
        [Publication(*dead)],
        settings.dead_letter_topic,
        settings,
    )


SERVICES: dict[str, Callable[[Mapping[str, str]], Known]] = {
    "task-api": _task_api,
    "notification-service": _notification_service,
}


def known_app(app_id: str, variables: Mapping[str, str]) -> Known | None:
    """Return what is known of an app, or None of one that is not of this repository.

    Args:
        variables: environment variables above those of this process.

    Raises:
        WrongSetting: a variable does not fit.
    """
    return SERVICES[app_id](variables) if app_id in SERVICES else None


def _settings(kind: type[Settings], variables: Mapping[str, str]) -> Settings:
    given = {name.lower(): value for name, value in variables.items()}
    return read_settings(
        kind, **{name: value for name, value in given.items() if name in kind.model_fields}
    )
