"""What one would write without Dapr: FastAPI on redis-py, task and event in one MULTI.

A change of the status is a plain read before the MULTI: it can lose a concurrent update, and is
the fastest there is.
"""

import os

from fastapi import FastAPI, HTTPException, Response
from redis.asyncio import Redis

from benchmarks.comparators.edge import answer, created
from shared_models import CloudEvent, Task, TaskCreate, TaskEvent, TaskEventType, TaskStatus
from shared_models.moments import now

# As the product's broker component trims, so that both keep as much.
MOST_EVENTS = 1_000_000

app = FastAPI()
redis = Redis(port=int(os.environ["REDIS_PORT"]))


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.post("/tasks", status_code=201, response_model=Task)
async def create_task(wanted: TaskCreate) -> Response:
    task = created(wanted)
    await _save(task, TaskEventType.CREATED)
    return answer(task, 201)


@app.get("/tasks/{task_id}", response_model=Task)
async def get_task(task_id: str) -> Response:
    return answer(await _read(task_id))


@app.put("/tasks/{task_id}/status", response_model=Task)
async def set_task_status(task_id: str, status: TaskStatus) -> Response:
    task = await _read(task_id)
    changed = task.model_copy(
        update={"status": status, "version": task.version + 1, "updated_at": now()}
    )
    await _save(changed, TaskEventType(f"task.{status}"))
    return answer(changed)


async def _read(task_id: str) -> Task:
    document = await redis.hget(f"direct-{task_id}", "data")
    if document is None:
        raise HTTPException(404, f"There is no task {task_id}.")
    return Task.model_validate_json(document)


async def _save(task: Task, event_type: TaskEventType) -> None:
    event = CloudEvent.of(TaskEvent.of(task, event_type), "direct")
    async with redis.pipeline(transaction=True) as transaction:
        transaction.hset(
            f"direct-{task.id}", mapping={"data": task.model_dump_json(), "version": task.version}
        )
        transaction.xadd(
            "direct-events",
            {"data": event.model_dump_json()},
            maxlen=MOST_EVENTS,
            approximate=True,
        )
        await transaction.execute()
