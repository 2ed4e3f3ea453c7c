"""No route of either service takes a query parameter that it does not have."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import notification_service.in_memory_adapters
import notification_service.main
import task_api.in_memory_adapters
import task_api.main
from tests.contract.test_task_api_http import is_problem

APPS = {
    "task-api": task_api.main.create_app(adapters=task_api.in_memory_adapters.in_memory_adapters()),
    "notification-service": notification_service.main.create_app(
        adapters=notification_service.in_memory_adapters.in_memory_adapters()
    ),
}


def _operations() -> Iterator[tuple[str, str, str]]:
    for name, app in APPS.items():
        for path, operations in app.openapi()["paths"].items():
            for method in operations:
                yield name, method.upper(), path


@pytest.fixture
def app(request: pytest.FixtureRequest) -> FastAPI:
    return APPS[request.param]


@pytest.mark.parametrize(("app", "method", "path"), list(_operations()), indirect=["app"])
def test_a_parameter_that_a_route_has_not_is_refused(app: FastAPI, method: str, path: str) -> None:
    url = path.replace("{", "").replace("}", "")
    with TestClient(app) as api:
        answer = api.request(method, url, params={"unknown": "1"}, json={"title": "a"})
    assert is_problem(answer, 422)
    assert answer.json()["errors"][0]["location"] == "query.unknown"


@pytest.mark.parametrize("app", APPS, indirect=True)
def test_the_refusal_says_what_the_route_takes(app: FastAPI) -> None:
    path = "/tasks" if app.title == "task-api" else "/notifications"
    with TestClient(app) as api:
        detail = api.get(path, params={"asignee": "ann"}).json()["detail"]
    assert "query.asignee" in detail
    assert "limit, cursor" in detail
