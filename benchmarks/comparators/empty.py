"""The same routes without any I/O: the limit of FastAPI on one core."""

from fastapi import FastAPI, Response

from benchmarks.comparators.edge import answer, created, example
from shared_models import Task, TaskCreate, TaskStatus

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.post("/tasks", status_code=201, response_model=Task)
async def create_task(wanted: TaskCreate) -> Response:
    return answer(created(wanted), 201)


@app.get("/tasks/{task_id}", response_model=Task)
async def get_task(task_id: str) -> Response:
    return answer(example(task_id))


@app.put("/tasks/{task_id}/status", response_model=Task)
async def set_task_status(task_id: str, status: TaskStatus) -> Response:
    return answer(example(task_id).model_copy(update={"status": status}))
