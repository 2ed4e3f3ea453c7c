"""What is published about tasks: CloudEvents 1.0 that carry a `TaskEvent`."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared_models.examples import TASK_EVENT
from shared_models.moments import Moment
from shared_models.tasks import Task, TaskStatus

TASK_EVENT_SCHEMA = 1
CHANGES_INTENDED = "task.changes.intended"
"""Type of the messages that task-api sends itself. They carry no `TaskEvent`."""


class TaskEventType(StrEnum):
    CREATED = "task.created"
    UPDATED = "task.updated"
    PENDING = "task.pending"
    IN_PROGRESS = "task.in_progress"
    COMPLETED = "task.completed"
    DELETED = "task.deleted"
    DUE = "task.due"


class TaskEvent(BaseModel):
    """The `data` of a task's event.

    Readers accept fields that they do not know, and hand them on where they announce a change that
    a newer replica has made. They accept schema 0 too, which had no `version`, `priority`,
    `assignee`, `due_at` and no `schema_version`.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [TASK_EVENT]})

    event_type: TaskEventType
    task_id: str
    title: str
    status: TaskStatus
    timestamp: Moment
    version: int = 0
    priority: int = 1
    assignee: str | None = None
    due_at: Moment | None = None
    schema_version: int = 0

    @classmethod
    def of(cls, task: Task, event_type: TaskEventType) -> "TaskEvent":
        """Return the event that says what `task` has become."""
        return cls(
            event_type=event_type,
            task_id=task.id,
            title=task.title,
            status=task.status,
            timestamp=task.updated_at,
            version=task.version,
            priority=task.priority,
            assignee=task.assignee,
            due_at=task.due_at,
            schema_version=TASK_EVENT_SCHEMA,
        )

    @property
    def id(self) -> str:
        """The event's id: the same for every delivery of the same change."""
        return f"{self.task_id}:{self.version}"


class CloudEvent(BaseModel):
    """A CloudEvents 1.0 envelope; extension attributes are kept.

    Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
    """

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1, max_length=1_000)
    source: str = Field(min_length=1)
    type: str = Field(min_length=1)
    subject: str | None = None
    time: Moment | None = None
    datacontenttype: str | None = "application/json"
    data: Any = None

    @classmethod
    def of(cls, event: TaskEvent, source: str) -> "CloudEvent":
        """Wrap `event` as published by the app-id `source`."""
        return cls(
            id=event.id,
            source=source,
            type=event.event_type,
            subject=event.task_id,
            time=event.timestamp,
            data=event.model_dump(mode="json"),
        )
