"""The OpenAPI document: what FastAPI cannot know of requests and answers.

A client is generated from it, so every operation lists the statuses that it gives, and every error
is the one `Problem`.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from service_kit.problems import PROBLEM_MEDIA_TYPE, Problem

Responses = dict[int | str, dict[str, Any]]

DESCRIPTIONS = {
    400: "A header field, the URL or a cursor is not what the server can read.",
    403: "Only the sidecar may call this, for an app that may.",
    404: "There is none.",
    409: "This one cannot be treated so.",
    410: "What the idempotency key made is deleted.",
    412: "It is not in a version that the request asks for.",
    413: "The body is too large.",
    415: "The body has another media type, or an encoding.",
    422: "Something in the request is not valid; `errors` says what and why.",
    503: "A part that is needed does not answer; try again.",
}
OF_ALL = (400, 422)
RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before the next try.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 2,
    }
}


def problems(*statuses: int) -> Responses:
    """Return what documents errors of an operation, beside those that all operations give."""
    return {status: _problem(status) for status in statuses}


def operation_id(route: APIRoute) -> str:
    return route.name


def complete_document(app: FastAPI) -> None:
    """Have the document of `app` say what is the same for all of its operations."""
    made_by_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made_by_fastapi()
            document["components"]["schemas"].update(_problem_schemas())
            for operation in _operations(document):
                _complete(operation)
        return made_by_fastapi()

    app.openapi = openapi  # type: ignore[method-assign]


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in document["paths"].values():
        yield from operations.values()


def _complete(operation: dict[str, Any]) -> None:
    statuses = [] if operation["operationId"] == "health" else [503]
    if "requestBody" in operation:
        statuses += [413, 415]
    errors = {str(status): _problem(status) for status in statuses}
    operation["responses"] = dict(sorted({**errors, **operation["responses"]}.items()))
    for parameter in operation.get("parameters", ()):
        _leave_out_null(parameter["schema"])


def _leave_out_null(schema: dict[str, Any]) -> None:
    """Take null from the schema of a parameter: who has no value leaves the parameter out."""
    others = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(others) == 1:
        del schema["anyOf"]
        schema.update(others[0])


def _problem_schemas() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "Problem": schema}


def _problem(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": DESCRIPTIONS[status],
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": {
                    "type": "about:blank",
                    "title": HTTPStatus(status).phrase,
                    "status": status,
                    "detail": DESCRIPTIONS[status],
                },
            }
        },
    }
    return {**described, "headers": RETRY_AFTER} if status == 503 else described
