"""What notification-service is asked, what it tells, and what it could not handle."""

from enum import StrEnum
from typing import Any

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


class DeadLetter(BaseModel):
    """A message that a subscription could not handle.

    `event` is the CloudEvent, or None where the message was not one; then `payload` has its bytes
    as text (base64 where they are not UTF-8).
    """

    id: str
    reason: str
    app_id: str | None = None
    event: dict[str, Any] | None = None
    payload: str | None = None
    received_at: Moment
