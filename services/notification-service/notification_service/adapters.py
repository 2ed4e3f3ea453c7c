"""The adapters that notification-service runs on: Dapr's, or in-memory ones in unit tests."""

from typing import NamedTuple

from notification_service.delivery import Delivery
from notification_service.redelivery import Redelivery
from service_kit.ports import Publisher, Secrets, Sidecar, StateStore


class Adapters(NamedTuple):
    sidecar: Sidecar
    store: StateStore
    publisher: Publisher
    secrets: Secrets
    delivery: Delivery
    redelivery: Redelivery
    """To the other services."""
