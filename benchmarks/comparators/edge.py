"""The HTTP edge that the comparators have in common with task-api, so that they do equal work."""

from uuid import uuid4

from fastapi import Response

from shared_models import Task, TaskCreate
from shared_models.moments import now

_MOMENT = now()


def created(wanted: TaskCreate) -> Task:
    moment = now()
    return Task(id=str(uuid4()), created_at=moment, updated_at=moment, version=1, **dict(wanted))


def example(task_id: str) -> Task:
    return Task(id=task_id, title="Example", created_at=_MOMENT, updated_at=_MOMENT, version=1)


def answer(task: Task, status: int = 200) -> Response:
    # As task-api answers: without validating what is valid by construction a second time.
    headers = {"ETag": f'"{task.version}"', "Location": f"/tasks/{task.id}"}
    return Response(task.model_dump_json(), status, headers, "application/json")
