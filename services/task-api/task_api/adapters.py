"""The adapters that task-api runs on: Dapr's, or in-memory ones in unit tests."""

from typing import NamedTuple

from service_kit.ports import Publisher, Secrets, Sidecar, StateStore
from task_api.notifier import Notifier


class Adapters(NamedTuple):
    sidecar: Sidecar
    store: StateStore
    publisher: Publisher
    changelog: Publisher
    """Where intents go; a broker component of its own."""
    secrets: Secrets
    notifier: Notifier
