"""A task as clients send and see it."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared_models.examples import TASK, TASK_CREATE, TASK_PATCH
from shared_models.moments import Moment
from shared_models.text import Line, LongText, Name


def _whole(value: object) -> object:
    # To JSON 3.0 is the same number as 3.
    return int(value) if isinstance(value, float) and value.is_integer() else value


Priority = Annotated[int, Field(strict=True, ge=1, le=5), BeforeValidator(_whole)]


def _as_patch(schema: dict[str, Any]) -> None:
    # A generated client sends the defaults that it knows of, and what it sends is changed.
    for field in schema["properties"].values():
        field.pop("default", None)
    schema["examples"] = [TASK_PATCH]


class TaskStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class TaskCreate(BaseModel):
    """The fields of a task that a client may choose: the body of a create and of a replace."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [TASK_CREATE]})

    title: Line
    description: LongText | None = None
    priority: Priority = 1
    assignee: Name | None = None
    due_at: Moment | None = None


class TaskPatch(BaseModel):
    """A JSON merge patch (RFC 7396): fields that are left out stay, null resets to the default."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_as_patch)

    title: Line = ""
    description: LongText | None = None
    priority: Priority | None = None
    assignee: Name | None = None
    due_at: Moment | None = None

    def applied_to(self, task: "Task") -> TaskCreate:
        """Return the fields that `task` has after the patch."""
        fields = {name: getattr(task, name) for name in TaskCreate.model_fields}
        fields.update(self.model_dump(exclude_unset=True))
        if fields["priority"] is None:
            del fields["priority"]
        # What the task had already is not judged again: it may be older than a rule.
        return TaskCreate.model_construct(**fields)


class Task(BaseModel):
    """One version of a task. `version` starts at 1 and grows by one with every change.

    While services are upgraded, one that does not know a field yet must not lose it.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [TASK]})

    id: str
    title: str
    description: str | None = None
    status: TaskStatus = TaskStatus.PENDING
    priority: int = 1
    assignee: str | None = None
    due_at: Moment | None = None
    created_at: Moment
    updated_at: Moment
    version: int
