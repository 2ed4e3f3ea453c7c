"""One of each thing, as the OpenAPI documents show it."""

from pydantic.config import JsonDict

TASK_CREATE: JsonDict = {
    "title": "Learn Dapr",
    "description": "State and events first.",
    "priority": 2,
    "assignee": "ann",
    "due_at": "2027-01-31T09:00:00Z",
}
TASK_PATCH: JsonDict = {"priority": 5, "due_at": None}
TASK: JsonDict = {
    "id": "5f0c6f0e-4b0e-4c0a-9a43-1c2f0a1d7e55",
    **TASK_CREATE,
    "status": "completed",
    "created_at": "2027-01-04T08:00:00Z",
    "updated_at": "2027-01-06T10:00:00Z",
    "version": 3,
}
TASK_EVENT: JsonDict = {
    "event_type": "task.completed",
    "task_id": TASK["id"],
    "timestamp": TASK["updated_at"],
    "schema_version": 1,
    **{
        name: TASK[name]
        for name in ("title", "status", "version", "priority", "assignee", "due_at")
    },
}
NOTIFICATION_REQUEST: JsonDict = {
    "type": "task_completed",
    "task_id": TASK["id"],
    "message": "Task 'Learn Dapr' has been completed",
    "recipient": "ann",
}
NOTIFICATION: JsonDict = {
    "id": "0f343b0931126a20f133d67c2b018a3b",
    **NOTIFICATION_REQUEST,
    "status": "sent",
    "created_at": "2027-01-06T10:00:01Z",
}
DEAD_LETTER: JsonDict = {
    "id": "7c4a8d09ca3762af61e59520943dc264",
    "reason": "It is no JSON",
    "app_id": "notification-service",
    "component": "pubsub",
    "topic": "task-events",
    "payload": "no event at all",
    "size": 15,
    "received_at": "2027-01-06T10:00:00Z",
}
