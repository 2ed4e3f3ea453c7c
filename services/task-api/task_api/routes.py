"""The HTTP contract of task-api: parse, make one call, answer."""

from typing import Annotated

from fastapi import APIRouter, Body, Header, Path, Query, Request, Response
from pydantic import BaseModel, Field

from service_kit.openapi import Responses, problems
from service_kit.requests import ApiRoute, Cursor, InDigits, Limit
from shared_models import Page, Task, TaskCreate, TaskEvent, TaskPatch, TaskStatus
from shared_models.text import Name
from task_api.etags import DOCUMENTED, Preconditions, etag
from task_api.tasks import Precondition, Tasks

router = APIRouter(tags=["tasks"], route_class=ApiRoute)


TaskId = Annotated[str, Path(description="The id that the task got when it was made.")]
MergePatch = Annotated[TaskPatch, Body(media_type="application/merge-patch+json")]
IdempotencyKey = Annotated[
    Annotated[str, Field(min_length=1, max_length=255)] | None,
    Header(description="For a week, the same key and body make one task."),
]

ETAG = {
    "ETag": {
        "description": "The version, for `If-Match` and `If-None-Match`.",
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
        "example": '"3"',
    }
}
LOCATION = {
    "Location": {
        "description": "The path of the task.",
        "schema": {"type": "string", "pattern": "^/tasks/.+$"},
        "example": "/tasks/0b5c6a4e-6f5c-4d55-8a1e-6e1c4b1f2d3a",
    }
}
OF_ONE_TASK: Responses = {200: {"headers": ETAG}, **problems(404, 412)}


@router.post(
    "/tasks",
    status_code=201,
    response_model=Task,
    responses={201: {"headers": {**ETAG, **LOCATION}}, **problems(410)},
)
async def create_task(
    wanted: TaskCreate, request: Request, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a task.

    An `Idempotency-Key` that comes again within a week, with the same body, returns the task that
    it made; with another body it is 422.
    """
    task = await _tasks(request).create(wanted, idempotency_key)
    return _answer(task, 201, Location=f"/tasks/{task.id}")


@router.get("/tasks", response_model=Page[Task])
async def list_tasks(
    request: Request,
    status: TaskStatus | None = None,
    priority: Annotated[int | None, Query(ge=1, le=5), InDigits] = None,
    assignee: Name | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List tasks, newest first. A page may be short, or empty, while `next_cursor` goes on."""
    return _json(await _tasks(request).find(limit, cursor, status, priority, assignee))


@router.get(
    "/tasks/{task_id}",
    response_model=Task,
    responses={**OF_ONE_TASK, 304: {"description": "The client has it.", "headers": ETAG}},
    openapi_extra=DOCUMENTED,
)
async def get_task(task_id: TaskId, request: Request) -> Response:
    """Get a task, with its ETag; 304 to who has that version already."""
    asked = Preconditions.of(request.headers)
    task = await _tasks(request).get(task_id, asked.allow_read)
    if asked.has_version(task):
        return Response(status_code=304, headers={"ETag": etag(task)})
    return _answer(task)


@router.put(
    "/tasks/{task_id}", response_model=Task, responses=OF_ONE_TASK, openapi_extra=DOCUMENTED
)
async def replace_task(task_id: TaskId, wanted: TaskCreate, request: Request) -> Response:
    """Replace the editable fields; those left out get their defaults."""
    return _answer(await _tasks(request).edit(task_id, lambda _: wanted, _allowed(request)))


@router.patch(
    "/tasks/{task_id}", response_model=Task, responses=OF_ONE_TASK, openapi_extra=DOCUMENTED
)
async def patch_task(task_id: TaskId, patch: MergePatch, request: Request) -> Response:
    """Change some fields: those left out stay, and null resets to the default.

    The body may come as `application/json`, too.
    """
    return _answer(await _tasks(request).edit(task_id, patch.applied_to, _allowed(request)))


@router.put(
    "/tasks/{task_id}/status", response_model=Task, responses=OF_ONE_TASK, openapi_extra=DOCUMENTED
)
async def set_task_status(task_id: TaskId, status: TaskStatus, request: Request) -> Response:
    """Set the status; the status that the task has already changes and announces nothing."""
    return _answer(await _tasks(request).set_status(task_id, status, _allowed(request)))


@router.delete(
    "/tasks/{task_id}", status_code=204, responses=problems(404, 412), openapi_extra=DOCUMENTED
)
async def delete_task(task_id: TaskId, request: Request) -> None:
    """Delete a task; reads answer 404 at once."""
    await _tasks(request).delete(task_id, _allowed(request))


@router.get("/tasks/{task_id}/history", response_model=Page[TaskEvent], responses=problems(404))
async def get_task_history(task_id: TaskId, request: Request) -> Response:
    """Return the task's recent events, newest first."""
    return _json(Page(items=await _tasks(request).history(task_id)))


def _tasks(request: Request) -> Tasks:
    tasks: Tasks = request.state.tasks
    return tasks


def _allowed(request: Request) -> Precondition:
    return Preconditions.of(request.headers).allow_change


def _answer(task: Task, status: int = 200, **headers: str) -> Response:
    return _json(task, status, ETag=etag(task), **headers)


def _json(model: BaseModel, status: int = 200, **headers: str) -> Response:
    # The model is valid by construction, so it is not validated a second time.
    return Response(model.model_dump_json(), status, headers, "application/json")
