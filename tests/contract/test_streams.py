"""The live streams: nothing is missing, nothing comes twice, and they end when they are to."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from httpx2 import Client

from tests.contract.test_task_api_http import is_problem
from tests.deliveries import bulk
from tests.eventually import eventually
from tests.served import Served, served
from tests.server_sent_events import follow
from tools.local_system import ROOT

AT_ONCE = 2
"""Seconds; a stream that does not end by itself lasts for the 10 of a graceful end and longer."""


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    """notification-service in memory, on a server: an in-process client cannot read a stream."""
    with served("notification_service") as service:
        yield service


def notify(api: Client, message: str, **fields: str) -> None:
    body = {"type": "note", "task_id": "a", "message": message, **fields}
    assert api.post("/notify", json=body).status_code == 200


def happen(api: Client, *tasks: str) -> None:
    events = [
        {
            "specversion": "1.0",
            "id": f"{task}:1",
            "source": "task-api",
            "type": "task.created",
            "data": {
                "event_type": "task.created",
                "task_id": task,
                "title": "t",
                "status": "pending",
                "timestamp": "2026-01-01T00:00:00Z",
                "version": 1,
            },
        }
        for task in tasks
    ]
    assert api.post("/events/task-events", json=bulk("task-events", *events)).status_code == 200


def test_a_notification_comes_as_it_is_listed(service: Served) -> None:
    with follow(service.client) as stream:
        notify(service.client, "hello", recipient="ann")
        (event,) = stream.take(1)
    assert event.event == "message"
    assert event.data == service.client.get("/notifications").json()["items"][0]


def test_a_stream_is_neither_kept_nor_held_up_on_its_way(service: Served) -> None:
    with follow(service.client) as stream:
        headers = stream.response.headers
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in headers


def test_who_comes_again_gets_what_was_sent_meanwhile_in_order_and_once(service: Served) -> None:
    with follow(service.client) as stream:
        notify(service.client, "before")
        (before,) = stream.take(1)
    for number in range(300):
        notify(service.client, str(number))
    with follow(service.client, last_id=before.id) as stream:
        meanwhile = stream.take(200)
    with follow(service.client, last_id=meanwhile[-1].id) as stream:
        notify(service.client, "after")
        rest = stream.take(101)
    messages = [event.data["message"] for event in (*meanwhile, *rest)]
    assert messages == [*map(str, range(300)), "after"]


def test_who_left_before_the_first_event_gets_it_when_it_comes_again(service: Served) -> None:
    with follow(service.client) as stream:
        last_id = stream.last_id
    notify(service.client, "meanwhile")
    with follow(service.client, last_id=last_id) as stream:
        assert [event.data["message"] for event in stream.take(1)] == ["meanwhile"]


@pytest.mark.parametrize("query", [{"recipient": "bob"}, {"task_id": "b"}])
def test_a_stream_has_only_what_its_filters_let_through(
    service: Served, query: dict[str, str]
) -> None:
    with follow(service.client, **query) as stream:
        notify(service.client, "for ann", recipient="ann")
        notify(service.client, "for bob", recipient="bob", task_id="b")
        assert [event.data["message"] for event in stream.take(1)] == ["for bob"]


def test_activity_comes_live_and_again(service: Served) -> None:
    with follow(service.client, "/activity/stream") as stream:
        happen(service.client, "t-1", "t-2")
        first, second = stream.take(2)
    assert {first.data["task_id"], second.data["task_id"]} == {"t-1", "t-2"}
    happen(service.client, "t-2", "t-3", "t-4")
    with follow(service.client, "/activity/stream", second.id, task_id="t-4") as stream:
        assert [event.data["task_id"] for event in stream.take(1)] == ["t-4"]


@pytest.mark.parametrize("path", ["/notifications/stream", "/activity/stream"])
@pytest.mark.parametrize("id", ["nowhere", "dead-letter~1.1", "1", "x" * 3000])
def test_an_id_of_no_event_is_refused(service: Served, path: str, id: str) -> None:
    assert is_problem(service.client.get(path, headers={"Last-Event-ID": id}), 400)


def test_an_id_from_before_the_store_was_lost_gets_all_and_a_warning(service: Served) -> None:
    notify(service.client, "there")
    with follow(service.client, last_id="notification~999.7") as stream:
        warning, first = stream.take(2)
    assert warning.event == "fell-behind"
    assert "list" in warning.data["detail"]
    assert first.event == "message"


def test_a_failure_before_the_first_event_is_a_problem() -> None:
    with Client() as client, no_sidecar() as service:
        answer = client.get(f"http://127.0.0.1:{service.port}/notifications/stream")
        assert is_problem(answer, 503)
        assert answer.headers["retry-after"]


def no_sidecar() -> AbstractContextManager[Served]:
    command = (sys.executable, "-c", "from notification_service.main import serve; serve()")
    return served("notification_service", command, DAPR_HTTP_PORT="1", DAPR_GRPC_PORT="2")


@pytest.mark.parametrize("drain_for", ["PT0S", "PT60S"])
def test_streams_end_at_once_when_the_service_is_told_to_stop(drain_for: str) -> None:
    with served("notification_service", DRAIN_FOR=drain_for) as service:
        with follow(service.client) as one, follow(service.client, "/activity/stream") as other:
            began = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            assert [*one.events(), *other.events()] == []
            assert time.monotonic() - began < AT_ONCE
        if drain_for == "PT0S":
            service.process.wait(timeout=AT_ONCE)
        else:
            with follow(service.client) as again:  # a browser gives up where it is refused
                assert [*again.events()] == []


def test_streams_end_at_once_when_uvicorn_reloads(tmp_path: Path) -> None:
    command = (
        *(sys.executable, "-m", "uvicorn", "tests.served:create_notification_service"),
        *("--factory", "--port", "{port}", "--log-level", "error"),
        *("--reload", "--reload-dir", str(tmp_path), "--app-dir", str(ROOT)),
    )
    source = tmp_path / "source.py"
    source.touch()
    with served("notification_service", command) as service, follow(service.client) as stream:
        began = time.monotonic()
        os.utime(source, (time.time() + 10, time.time() + 10))  # newer than it was
        assert [*stream.events()] == []
        ended = time.monotonic()
        eventually(service.answers, within=20)
    assert ended - began < AT_ONCE + 2  # it looks for changes now and then
