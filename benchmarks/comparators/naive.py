"""The usual first attempt: a synchronous client opened inside every request, save, then publish.

A process that stops between the two has saved a change that is never announced.
"""

from dapr.clients import DaprClient
from fastapi import FastAPI, HTTPException, Response

from benchmarks.comparators.edge import answer, created
from shared_models import Task, TaskCreate, TaskEvent, TaskEventType, TaskStatus
from shared_models.moments import now

STORE = "statestore"
PUBSUB = "pubsub"
TOPIC = "naive-events"

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.post("/tasks", status_code=201, response_model=Task)
async def create_task(wanted: TaskCreate) -> Response:
    task = created(wanted)
    with DaprClient() as client:
        client.save_state(STORE, f"task-{task.id}", task.model_dump_json())
        _publish(client, task, TaskEventType.CREATED)
    return answer(task, 201)


@app.post("/save-alone", status_code=201, response_model=Task)
async def save_alone(wanted: TaskCreate) -> Response:
    """Create a task that is not announced."""
    task = created(wanted)
    with DaprClient() as client:
        client.save_state(STORE, f"task-{task.id}", task.model_dump_json())
    return answer(task, 201)


@app.get("/tasks/{task_id}", response_model=Task)
async def get_task(task_id: str) -> Response:
    with DaprClient() as client:
        task, _ = _read(client, task_id)
    return answer(task)


@app.put("/tasks/{task_id}/status", response_model=Task)
async def set_task_status(task_id: str, status: TaskStatus) -> Response:
    with DaprClient() as client:
        task, etag = _read(client, task_id)
        changed = task.model_copy(
            update={"status": status, "version": task.version + 1, "updated_at": now()}
        )
        client.save_state(STORE, f"task-{task_id}", changed.model_dump_json(), etag=etag)
        _publish(client, changed, TaskEventType(f"task.{status}"))
    return answer(changed)


def _read(client: DaprClient, task_id: str) -> tuple[Task, str]:
    state = client.get_state(STORE, f"task-{task_id}")
    if not state.data:
        raise HTTPException(404, f"There is no task {task_id}.")
    return Task.model_validate_json(state.data), state.etag


def _publish(client: DaprClient, task: Task, event_type: TaskEventType) -> None:
    client.publish_event(
        PUBSUB,
        TOPIC,
        TaskEvent.of(task, event_type).model_dump_json(),
        data_content_type="application/json",
    )
