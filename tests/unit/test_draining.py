"""How a service stops while there are requests."""

import signal

import pytest

from tests.eventually import eventually
from tests.served import served


def test_a_draining_service_answers_and_sends_its_clients_elsewhere() -> None:
    with served("task_api", DRAIN_FOR="PT60S") as service:
        assert service.client.get("/health").headers.get("connection") != "close"
        service.process.send_signal(signal.SIGTERM)
        eventually(
            lambda: service.client.get("/health").headers.get("connection") == "close", within=5
        )
        assert service.answers()  # on a new connection


def test_a_drained_service_stops() -> None:
    with served("task_api", DRAIN_FOR="PT1S") as service:
        service.process.send_signal(signal.SIGTERM)
        assert service.answers()
        assert service.process.wait(timeout=10) == -signal.SIGTERM
        assert not service.answers()


@pytest.mark.parametrize(
    ("drain_for", "signals"),
    [
        ("PT0S", [signal.SIGTERM]),
        ("PT60S", [signal.SIGINT]),
        ("PT60S", [signal.SIGTERM, signal.SIGTERM]),
    ],
)
def test_a_service_that_is_not_to_drain_stops_at_once(
    drain_for: str, signals: list[signal.Signals]
) -> None:
    with served("task_api", DRAIN_FOR=drain_for) as service:
        for each in signals:
            service.process.send_signal(each)
            service.answers()  # so that it has noticed
        service.process.wait(timeout=10)
