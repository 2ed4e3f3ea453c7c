"""Whatever a client sends, the answer is one that the OpenAPI document promises."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import notification_service.in_memory_adapters
import notification_service.main
import task_api.in_memory_adapters
import task_api.main

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

task_api_schema = schemathesis.openapi.from_asgi(
    "/openapi.json",
    task_api.main.create_app(adapters=task_api.in_memory_adapters.in_memory_adapters()),
)
notification_service_schema = schemathesis.openapi.from_asgi(
    "/openapi.json",
    notification_service.main.create_app(
        adapters=notification_service.in_memory_adapters.in_memory_adapters()
    ),
)
bounded = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@task_api_schema.parametrize()
@bounded
def test_task_api_answers_as_documented(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(checks=CHECKS)


@notification_service_schema.exclude(path="/notifications/stream").parametrize()  # never ends
@bounded
def test_notification_service_answers_as_documented(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(checks=CHECKS)
