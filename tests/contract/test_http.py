"""HTTP itself, the same for every route: methods, hosts, media types, origins, and bad requests."""

import json
import re
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Client, Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service_kit.methods import METHODS
from service_kit.protocol import MOST_BYTES
from task_api.settings import Settings
from tests.contract.test_task_api_http import create, is_problem
from tests.deliveries import bulk
from tests.served import Served, create_notification_service, create_task_api, served

APPS = {"task-api": create_task_api(), "notification-service": create_notification_service()}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    """task-api in memory, on a server: an in-process client has no connection to be odd on."""
    with served("task_api") as service:
        yield service


def methods_of(app: FastAPI) -> dict[str, set[str]]:
    """Return the methods of each documented path, its parameters filled in."""
    documented: dict[str, dict[str, Any]] = app.openapi()["paths"]
    return {
        re.sub(r"[{}]", "", path): {method.upper() for method in operations}
        for path, operations in documented.items()
    }


RESOURCES = [
    pytest.param(app, path, methods, id=path)
    for app in APPS.values()
    for path, methods in methods_of(app).items()
]


def allowed(answer: Response) -> set[str]:
    return set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize(("app", "path", "methods"), RESOURCES)
def test_options_and_405_say_truly_what_is_allowed(
    app: FastAPI, path: str, methods: set[str]
) -> None:
    expected = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    with TestClient(app) as api:
        options = api.options(path)
        assert (options.status_code, options.content) == (204, b"")
        assert allowed(options) == expected
        for method in {*METHODS, "TRACE"} - expected:
            answer = api.request(method, path)
            assert is_problem(answer, 405)
            assert allowed(answer) == expected


@pytest.mark.parametrize("path", ["/nowhere", "/tasks/a/b/c", "/"])
@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "GET"])
def test_what_is_not_there_is_404_for_every_method(path: str, method: str) -> None:
    with TestClient(create_task_api()) as api:
        answer = api.request(method, path)
    assert answer.status_code == 404
    assert method == "HEAD" or is_problem(answer, 404)


@pytest.mark.parametrize(
    "path", ["/tasks", "/tasks/{id}", "/tasks/{id}/history", "/tasks/none", "/health", "/docs"]
)
def test_head_answers_as_get_and_without_a_body(service: Served, path: str) -> None:
    path = path.replace("{id}", create(service.client)["id"])
    got, head = service.client.get(path), service.client.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    for answer in (got, head):
        answer.headers.pop("date")
    assert head.headers == got.headers


def test_head_of_a_stream_ends() -> None:
    with served("notification_service") as service:
        answer = service.client.head("/notifications/stream")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert service.answers()  # on the same connection


def test_head_takes_the_headers_of_get(api: Client) -> None:
    path = f"/tasks/{create(api)['id']}"
    assert api.head(path, headers={"If-None-Match": '"1"'}).status_code == 304


@pytest.mark.parametrize("path", ["/tasks/", "/health/", "//tasks", "/tasks/a/status/"])
def test_nothing_is_redirected(service: Served, path: str) -> None:
    headers = {"Host": "attacker.example", "X-Forwarded-Proto": "https"}
    answer = service.client.put(path, headers=headers, follow_redirects=False)
    assert answer.status_code in (404, 405)
    assert "location" not in answer.headers


def test_a_location_does_not_repeat_the_host_of_the_request(service: Served) -> None:
    answer = service.client.post(
        "/tasks", json={"title": "a"}, headers={"Host": "attacker.example"}
    )
    assert answer.headers["location"] == f"/tasks/{answer.json()['id']}"


BODY = b'{"title": "a"}'


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json-patch+json",
        "application/cloudevents+json",
        "application/jsonx",
        "json",
        "application/json; charset=latin-1",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/tasks"), ("PUT", "/tasks/none")])
def test_a_body_of_another_type_is_415_and_told_the_right_one(
    api: Client, method: str, path: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = api.request(method, path, content=BODY, headers=headers)
    assert is_problem(answer, 415)
    assert "application/json" in answer.json()["detail"]
    assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize("content_type", ["application/json-patch+json", "text/json", None])
def test_a_patch_of_another_type_is_415_and_told_the_right_ones(
    api: Client, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = api.patch(f"/tasks/{create(api)['id']}", content=BODY, headers=headers)
    assert is_problem(answer, 415)
    assert answer.headers["accept-patch"] == "application/merge-patch+json, application/json"


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "unheard-of"])
def test_an_encoded_body_is_415(api: Client, encoding: str) -> None:
    answer = api.post("/tasks", json={"title": "a"}, headers={"Content-Encoding": encoding})
    assert is_problem(answer, 415)
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "APPLICATION/JSON", 'application/json; charset="UTF-8"; v=1'],
)
def test_json_is_json_in_whatever_spelling(api: Client, content_type: str) -> None:
    headers = {"Content-Type": content_type, "Content-Encoding": "identity"}
    assert api.post("/tasks", content=BODY, headers=headers).status_code == 201


def test_a_chunked_body_needs_its_type_too(api: Client) -> None:
    assert is_problem(api.post("/tasks", content=iter([BODY])), 415)


def test_a_body_that_is_missing_is_no_question_of_its_type(api: Client) -> None:
    assert is_problem(api.post("/tasks"), 422)


def test_what_takes_no_body_takes_any(api: Client) -> None:
    url = f"/tasks/{create(api)['id']}"
    answer = api.put(f"{url}/status?status=completed", content=b"a=b", headers=FORM)
    assert answer.status_code == 200


@pytest.mark.parametrize("headers", [{}, FORM, {"Content-Type": "application/cloudevents+json"}])
def test_callbacks_of_the_sidecar_come_with_any_type(
    service: Served, headers: dict[str, str]
) -> None:
    answer = service.client.post(
        "/events/task-changes", content=json.dumps(bulk("task-changes")), headers=headers
    )
    assert answer.json() == {"statuses": []}


ORIGIN = "https://app.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}


def cors(answer: Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-")}


def with_cors(monkeypatch: pytest.MonkeyPatch, origins: str) -> TestClient:
    monkeypatch.setenv("CORS_ORIGINS", origins)
    return TestClient(create_task_api())


def test_pages_of_other_origins_may_not_call_by_default() -> None:
    with TestClient(create_task_api()) as api:
        assert cors(api.options("/tasks", headers=PREFLIGHT)) == {}
        assert cors(api.get("/tasks", headers={"Origin": ORIGIN})) == {}


@pytest.mark.parametrize("origins", [ORIGIN, f"http://localhost:3000,{ORIGIN}", "*"])
def test_pages_of_the_named_origins_may_use_the_contract(
    monkeypatch: pytest.MonkeyPatch, origins: str
) -> None:
    asked = {**PREFLIGHT, "Access-Control-Request-Headers": "content-type,if-match"}
    with with_cors(monkeypatch, origins) as api:
        preflight = api.options("/tasks/a", headers=asked)
        answers = [
            api.get("/tasks", headers={"Origin": ORIGIN}),
            api.get("/tasks/none", headers={"Origin": ORIGIN}),
            api.post("/tasks", content=BODY, headers={"Origin": ORIGIN}),
        ]
    assert preflight.status_code == 200
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] in (ORIGIN, "*")
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"ETag", "Location", "Retry-After"} <= set(exposed)


def test_pages_of_an_origin_that_is_not_named_may_not_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with with_cors(monkeypatch, ORIGIN) as api:
        other = {**PREFLIGHT, "Origin": "https://app.example.attacker"}
        assert api.options("/tasks/a", headers=other).status_code == 400
        assert "access-control-allow-origin" not in cors(api.get("/tasks", headers=other))


@pytest.mark.parametrize("origins", ["app.example", f"{ORIGIN}/", f"{ORIGIN}/page", "null"])
def test_an_origin_that_no_browser_sends_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, origins: str
) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)
    with pytest.raises(ValidationError, match="is no origin"):
        Settings()


def exchange(service: Served, request: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Send bytes on a connection of their own; return status, headers and problem."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as peer:
        peer.sendall(request)
        response = HTTPResponse(peer)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, json.loads(response.read())


def is_refused(service: Served, request: bytes, status: int = 400) -> bool:
    answered, headers, body = exchange(service, request)
    assert answered == body["status"] == status
    assert headers["content-type"] == "application/problem+json"
    assert service.answers()
    return True


@pytest.mark.parametrize(
    "hosts",
    [[], ["a", "b"], ["a", "a"], ["a/b"], ["a b"], ["user@a"], ["a:http"], ["[::1"], ["a, b"]],
)
def test_a_request_needs_exactly_one_host(service: Served, hosts: list[str]) -> None:
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    assert is_refused(service, f"GET /tasks HTTP/1.1\r\n{lines}\r\n".encode())


@pytest.mark.parametrize("host", ["a", "a:8000", "[::1]:8000", "a_b.svc", ""])
def test_a_request_with_one_host_is_answered(service: Served, host: str) -> None:
    request = f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    assert exchange(service, request.encode())[0] == 200


def test_a_request_of_http_1_0_needs_no_host(service: Served) -> None:
    assert exchange(service, b"GET /health HTTP/1.0\r\n\r\n")[0] == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"hello\r\n\r\n",
        b"GET /tasks\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET \xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /tasks HTTP/1.1\r\nHost a\r\n\r\n",
        b"GET /tasks HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n",
        b"POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /tasks HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),  # TLS
    ],
)
def test_what_the_parser_refuses_is_a_problem(service: Served, request_: bytes) -> None:
    assert is_refused(service, request_)


@given(st.binary(min_size=1, max_size=200).filter(lambda data: data.strip(b"\r\n") != b""))
def test_any_bytes_get_a_problem(service: Served, data: bytes) -> None:
    # A line that no request begins with comes first, so the parser cannot wait for more.
    assert is_refused(service, b"\x00" + data)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /tasks HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * MOST_BYTES), 431),
        (b"GET /tasks HTTP/1.1\r\nHost: a\r\n%b\r\n" % (b"X: y\r\n" * (MOST_BYTES // 5)), 431),
        (b"GET /tasks HTTP/1.1\r\nHost: a\r\nX: %b" % (b"x" * 2 * MOST_BYTES), 431),
        (b"GET /tasks?%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * MOST_BYTES), 414),
        (b"GET /tasks?%b" % (b"x" * 2 * MOST_BYTES), 414),
    ],
    ids=[
        "a long header",
        "many headers",
        "a header without end",
        "a long URL",
        "a URL without end",
    ],
)
def test_what_comes_before_the_body_has_a_bound(
    service: Served, request_: bytes, status: int
) -> None:
    assert is_refused(service, request_, status)


@pytest.mark.parametrize("key", [b"k", b"k ", b"k\t", b"  k  "])
def test_white_space_around_a_field_is_none_of_its_value(service: Served, key: bytes) -> None:
    body = b'{"title": "once"}'
    head = (
        b"POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Idempotency-Key:%b\r\nContent-Length: %d\r\n\r\n" % (key, len(body))
    )
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as peer:
        peer.sendall(head + body)
        response = HTTPResponse(peer)
        response.begin()
        task = json.loads(response.read())
    again = service.client.post(
        "/tasks", content=body, headers={"Idempotency-Key": "k", "Content-Type": "application/json"}
    )
    assert again.json() == task


def test_many_requests_on_one_connection_are_no_long_one(service: Served) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * (MOST_BYTES // 2))
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as peer:
        for _ in range(3):
            for part in (head[:-10], head[-10:]):
                peer.sendall(part)
                time.sleep(0.05)  # so that it comes in two parts
            response = HTTPResponse(peer)
            response.begin()
            assert (response.status, response.read()) == (200, b'{"status":"healthy"}')
