"""What notification-service is asked and what it tells."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from shared_models.moments import Moment
from shared_models.text import KnownName, Line, LongText


class NotificationStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DUPLICATE = "duplicate"


class NotificationRequest(BaseModel):
    """The body of the method `notify`. An `event_id` is delivered once, however often sent."""

    model_config = ConfigDict(extra="forbid")

    type: Line
    task_id: Line
    message: LongText
    recipient: KnownName | None = None
    event_id: Line | None = None


class NotificationReceipt(BaseModel):
    """The answer of `notify`."""

    id: str
    status: NotificationStatus


class Notification(BaseModel):
    """A notification. It is listed once it is sent."""

    id: str
    type: str
    task_id: str
    message: str
    recipient: str | None = None
    status: NotificationStatus = NotificationStatus.SENT
    created_at: Moment
