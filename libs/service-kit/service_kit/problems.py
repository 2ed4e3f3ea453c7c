"""Errors as problem details (RFC 9457), the same from every route of both services."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from service_kit.cursors import UnknownCursor
from service_kit.ports import Unavailable
from service_kit.positions import UnknownPosition

log = structlog.get_logger()

PROBLEM_MEDIA_TYPE = "application/problem+json"
RETRY_LATER = {"Retry-After": "2"}
MOST_ERRORS = 10
"""That an answer tells; a request can have any number."""


class Invalid(BaseModel):
    """A part of the request that is not valid, and why."""

    location: str
    message: str


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    title: str
    status: int
    detail: str
    errors: list[Invalid] = []
    """What is not valid, with 422."""
    missing: list[str] = []
    """What the sidecar lacks, with the 503 of readiness."""


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, **members: object
) -> JSONResponse:
    """Return a problem response. `members` are extension members."""
    return JSONResponse(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            **members,
        },
        status_code=status,
        headers=dict(headers or {}),
        media_type=PROBLEM_MEDIA_TYPE,
    )


def unavailable(error: Exception) -> JSONResponse:
    """Return the problem response of a part that does not answer."""
    return problem(503, str(error), RETRY_LATER)


def _message(error: Mapping[str, Any]) -> str:
    """Return what is wrong; of what is no JSON, the reason as well."""
    if error["type"] == "json_invalid":
        return f"{error['msg']}: {error['ctx']['error']}"
    return str(error["msg"])


def answer_with_problems(app: FastAPI, statuses: Mapping[type[Exception], int]) -> None:
    """Turn every error of `app` into a problem response.

    Args:
        statuses: the HTTP status of each of the service's own errors.
    """

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # Pydantic's report repeats the input, which may be anything; say only where and what.
        found = error.errors()
        errors = [
            {"location": ".".join(str(part) for part in each["loc"]), "message": _message(each)}
            for each in found[:MOST_ERRORS]
        ]
        detail = "; ".join(f"{each['location']}: {each['message']}" for each in errors)
        if more := len(found) - len(errors):
            detail += f"; and {more} more"
        return problem(422, detail, errors=errors)

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem(error.status_code, error.detail, error.headers)

    def away(request: Request, error: Exception) -> Response:
        log.warning("unavailable", path=request.url.path, reason=str(error))
        return unavailable(error)

    def unexpected(request: Request, error: Exception) -> Response:
        # Starlette logs the traceback itself and gives it to nobody else.
        return problem(500, "The service failed; its log says why.")

    def domain(request: Request, error: Exception) -> Response:
        status = next(statuses[kind] for kind in type(error).__mro__ if kind in statuses)
        return problem(status, str(error))

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Unavailable, away)
    app.add_exception_handler(Exception, unexpected)
    for kind in statuses:
        app.add_exception_handler(kind, domain)
    for kind in (UnknownCursor, UnknownPosition):
        app.add_exception_handler(kind, lambda _, error: problem(400, str(error)))
