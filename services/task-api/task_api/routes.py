"""The HTTP contract of task-api: parse, make one call, answer."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel

from service_kit.requests import ApiRoute, Digits, Limit
from shared_models import Page, Task, TaskCreate, TaskEvent, TaskPatch, TaskStatus
from shared_models.text import Name
from task_api.etags import DOCUMENTED, Preconditions, etag
from task_api.tasks import Precondition, Tasks

router = APIRouter(tags=["tasks"], route_class=ApiRoute)


IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


@router.post("/tasks", status_code=201, response_model=Task)
async def create_task(
    wanted: TaskCreate, request: Request, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a task; an `Idempotency-Key` repeated within a week returns the task that it made."""
    task = await _tasks(request).create(wanted, idempotency_key)
    return _answer(task, 201, Location=f"/tasks/{task.id}")


@router.get("/tasks", response_model=Page[Task])
async def list_tasks(
    request: Request,
    status: TaskStatus | None = None,
    priority: Annotated[Digits | None, Query(ge=1, le=5)] = None,
    assignee: Name | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """List tasks, newest first. A page may be short, or empty, while `next_cursor` goes on."""
    return _json(await _tasks(request).find(limit, cursor, status, priority, assignee))


@router.get("/tasks/{task_id}", response_model=Task, openapi_extra=DOCUMENTED)
async def get_task(task_id: str, request: Request) -> Response:
    asked = Preconditions.of(request.headers)
    task = await _tasks(request).get(task_id, asked.allow_read)
    if asked.has_version(task):
        return Response(status_code=304, headers={"ETag": etag(task)})
    return _answer(task)


@router.put("/tasks/{task_id}", response_model=Task, openapi_extra=DOCUMENTED)
async def replace_task(task_id: str, wanted: TaskCreate, request: Request) -> Response:
    """Replace the editable fields; those left out get their defaults."""
    return _answer(await _tasks(request).edit(task_id, lambda _: wanted, _allowed(request)))


@router.patch("/tasks/{task_id}", response_model=Task, openapi_extra=DOCUMENTED)
async def patch_task(task_id: str, patch: TaskPatch, request: Request) -> Response:
    return _answer(await _tasks(request).edit(task_id, patch.applied_to, _allowed(request)))


@router.put("/tasks/{task_id}/status", response_model=Task, openapi_extra=DOCUMENTED)
async def set_task_status(task_id: str, status: TaskStatus, request: Request) -> Response:
    """Set the status; the status that the task has already changes and announces nothing."""
    return _answer(await _tasks(request).set_status(task_id, status, _allowed(request)))


@router.delete("/tasks/{task_id}", status_code=204, openapi_extra=DOCUMENTED)
async def delete_task(task_id: str, request: Request) -> None:
    await _tasks(request).delete(task_id, _allowed(request))


@router.get("/tasks/{task_id}/history", response_model=Page[TaskEvent])
async def get_task_history(task_id: str, request: Request) -> Response:
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
