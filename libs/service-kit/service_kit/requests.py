"""What every route asks of a request, beside what its own parameters ask."""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import Query
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator, Field
from starlette.convertors import PathConvertor, StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service_kit.json_text import read_json
from service_kit.media_types import TypedBodyRoute
from service_kit.problems import problem


def _digits(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("must be written with digits alone")
    return value


InDigits = BeforeValidator(_digits)
"""For numbers in a query, which Python would also take with signs, spaces and underscores."""
Limit = Annotated[int, Query(ge=1, le=100, description="Most items of a page."), InDigits]
Cursor = Annotated[
    Annotated[str, Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,64}$"})] | None,
    Query(description="`next_cursor` of the page before, of this list with these filters."),
]


class _AnyText(PathConvertor):
    regex = r"[\s\S]*"


class _Id(StringConvertor):
    regex = r"(?!replay$)[^/]+"


# In paths, `{name:text}` is the rest whatever is in it, where Starlette's own `path` ends at a
# line; `{name:id}` is none of the methods beside ids, so that `Allow` is true for these.
register_url_convertor("text", _AnyText())
register_url_convertor("id", _Id())


class ApiRoute(TypedBodyRoute):
    """A route that refuses what it has no parameter for, and takes JSON by the letter.

    A query parameter that the route does not know, or that comes twice, is 422; so is a body that
    `read_json` refuses. A header field that is a parameter of the route and comes twice is 400.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        dependants = list(_with_all_below(self.dependant))
        parameters = [each.alias for one in dependants for each in one.query_params]
        fields = {each.alias.lower().encode() for one in dependants for each in one.header_params}

        async def checked(request: Request) -> Response:
            if request.scope["query_string"]:
                _check_query(request, parameters)
            if fields:
                _check_header(request, fields)
            if self.body_field:
                request = _JsonRequest(request.scope, request.receive)
            return await handle(request)

        return checked


class ReadableUrl:
    """Answers 400 to a request for what nothing of ours has as its name.

    That is a path or a query that is no UTF-8, and a path that ends with a line break: the router
    would pass over that, and take it for the path without it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (fault := _fault_of_url(scope)):
            await problem(400, fault)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _fault_of_url(scope: Scope) -> str | None:
    for part in (scope.get("raw_path") or b"", scope["query_string"]):
        if b"%" in part and not _is_utf_8(unquote_to_bytes(part)):
            return "The URL is not UTF-8. Encode its characters as UTF-8 before the percent signs."
    return "The path must not end with a line break." if scope["path"].endswith("\n") else None


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


class _JsonRequest(Request):
    async def json(self) -> Any:
        return read_json(await self.body())


def _with_all_below(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for each in dependant.dependencies:
        yield from _with_all_below(each)


def _check_query(request: Request, known: list[str]) -> None:
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    errors = []
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            errors.append((name, f"This request has no such parameter; {takes}"))
        elif count > 1:
            errors.append((name, "This parameter must come once"))
    if errors:
        raise RequestValidationError(
            [{"type": "query", "loc": ("query", name), "msg": why} for name, why in errors]
        )


def _check_header(request: Request, known: set[bytes]) -> None:
    found = [name for name, _ in request.scope["headers"] if name in known]
    if len(found) > 1:
        for name, count in Counter(found).items():
            if count > 1:
                raise HTTPException(400, f"The field {name.decode()} of the header must come once.")
