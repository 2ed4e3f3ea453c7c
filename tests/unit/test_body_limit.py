"""A client gets its answer even where that comes before its body was read."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from starlette.types import Message

from service_kit import body_limit
from service_kit.body_limit import BodyLimit
from tests.served import served

TOO_LARGE = 10_000_000


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served("task_api") as service:
        yield str(service.client.base_url).rstrip("/")


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [("/tasks", TOO_LARGE, 413), ("/no", 900_000, 404), ("/tasks?x=%FF", 5_000_000, 413)],
)
def test_a_client_that_sends_all_before_it_reads_gets_its_answer(
    url: str, path: str, size: int, status: int
) -> None:
    request = urllib.request.Request(f"{url}{path}", data=b"x" * size, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == status
    assert json.load(refused.value)["status"] == status


def test_a_client_that_announces_nothing_gets_its_answer(url: str) -> None:
    answer = _exchange(
        url,
        b"Transfer-Encoding: chunked\r\nContent-Type: application/json",
        [b"186a0\r\n%b\r\n" % (b"x" * 100_000)] * 50,
    )
    assert b" 413 " in answer.splitlines()[0]
    assert b'"status":413' in answer


def test_a_client_that_asks_before_it_sends_is_answered_at_once(url: str) -> None:
    answer = _exchange(url, b"Content-Length: %d\r\nExpect: 100-continue" % TOO_LARGE, [])
    assert b" 413 " in answer.splitlines()[0]


@pytest.mark.parametrize("fields", [b"Expect: 100-continue\r\n", b""])
def test_an_answer_before_the_body_was_read_ends_the_connection(url: str, fields: bytes) -> None:
    """What comes of the body then would be taken for the next request."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port or 80), timeout=20) as connection:
        connection.sendall(
            b"POST /tasks HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: %d\r\n\r\n"
            % (fields, TOO_LARGE)
        )
        if not fields:
            connection.sendall(b"x" * TOO_LARGE)
        answer = b""
        while some := connection.recv(65_536):
            answer += some
    assert answer.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answer.lower()


def _exchange(url: str, fields: bytes, parts: list[bytes]) -> bytes:
    """Send all parts of a body, then read all of the answer."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port or 80)) as connection:
        connection.sendall(
            b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%b\r\n\r\n" % fields
        )
        for part in parts:
            connection.sendall(part)
        if parts:
            connection.sendall(b"0\r\n\r\n")
        answer = b""
        while some := connection.recv(65_536):
            answer += some
    return answer


async def test_a_body_without_an_end_is_read_on_up_to_a_bound() -> None:
    async def endless() -> Message:
        return {"type": "http.request", "body": b"x" * 1_000_000, "more_body": True}

    assert (await _answer_to(endless))[-1] == {"type": "http.response.body"}


async def test_a_body_that_stops_on_its_way_is_waited_for_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body_limit, "READ_ON_FOR", timedelta(milliseconds=20))

    async def silent() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    assert (await _answer_to(silent))[-1] == {"type": "http.response.body"}


async def _answer_to(receive: object) -> list[Message]:
    """Return the messages of the answer to a body that is announced as too large."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(*_: object) -> None:
        raise AssertionError("the body is not read")

    scope = {
        "type": "http",
        "path": "/tasks",
        "headers": [(b"content-length", str(TOO_LARGE).encode())],
    }
    await BodyLimit(app, exempt="/events/")(scope, receive, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 413
    return sent
