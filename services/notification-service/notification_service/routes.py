"""The HTTP contract of notification-service: parse, make one call, answer."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from notification_service.dead_letters import DeadLetters
from notification_service.notifications import Activity, Notifications, is_to
from notification_service.preferences import Preferences
from notification_service.settings import Settings
from notification_service.stream import LiveResponse
from service_kit.callbacks import only_app
from service_kit.live_lists import LiveList
from service_kit.openapi import Responses, problems
from service_kit.positions import PATTERN
from service_kit.requests import ApiRoute, Cursor, Limit
from shared_models import (
    DeadLetter,
    Discarded,
    Notification,
    NotificationReceipt,
    NotificationRequest,
    Page,
    Replayed,
    TaskEvent,
)
from shared_models.text import Line, Name

router = APIRouter(route_class=ApiRoute)


async def _notifications(request: Request) -> Notifications:
    notifications: Notifications = request.state.notifications
    return notifications


async def _dead_letters(request: Request) -> DeadLetters:
    dead_letters: DeadLetters = request.state.dead_letters
    return dead_letters


async def _preferences(request: Request) -> Preferences:
    preferences: Preferences = request.state.preferences
    return preferences


async def only_task_api(request: Request) -> None:
    settings: Settings = request.state.settings
    await only_app(request, settings.task_api_app_id)


TheNotifications = Annotated[Notifications, Depends(_notifications)]
TheDeadLetters = Annotated[DeadLetters, Depends(_dead_letters)]
ThePreferences = Annotated[Preferences, Depends(_preferences)]
Reason = Annotated[str | None, Query(description="Only those with this reason.")]
User = Annotated[Name, Path()]
LastEventId = Annotated[
    Annotated[str, Field(json_schema_extra={"pattern": PATTERN})] | None,
    Header(description="The id of the last event that the client has."),
]
LetterId = Annotated[str, Path(description="The id that the list of dead letters has for it.")]
PersonsSettings = Annotated[dict[str, Any], Body(examples=[{"channel": "mail", "quiet": [22, 7]}])]
STREAM: Responses = {
    200: {
        "description": "Events, each with an `id` and in `data` what the list has, as JSON.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.post(
    "/notify",
    dependencies=[Depends(only_task_api)],
    tags=["notifications"],
    responses=problems(403),
)
async def notify(
    wanted: NotificationRequest, notifications: TheNotifications
) -> NotificationReceipt:
    """Deliver a notification; only through Dapr, and only for task-api."""
    return await notifications.notify(wanted)


@router.get("/notifications", tags=["notifications"])
async def list_notifications(
    notifications: TheNotifications,
    task_id: Line | None = None,
    recipient: Name | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Notification]:
    """List what was sent, newest first."""
    return await notifications.find(limit, cursor, task_id, recipient)


@router.get(
    "/notifications/stream",
    tags=["notifications"],
    response_class=StreamingResponse,
    responses=STREAM,
)
async def stream_notifications(
    request: Request,
    task_id: Line | None = None,
    recipient: Name | None = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Send each notification once it is sent, as server-sent events.

    `Last-Event-ID` brings what was sent meanwhile. An event `fell-behind` says that this was more
    than can be told.
    """
    live: LiveList[Notification] = request.state.live_notifications

    def wanted(notification: Notification) -> bool:
        return task_id in (None, notification.task_id) and is_to(notification, recipient)

    return LiveResponse(await live.follow(last_event_id, wanted))


@router.get("/activity", tags=["activity"])
async def list_activity(
    request: Request, limit: Limit = 50, cursor: Cursor = None
) -> Page[TaskEvent]:
    """List what happened to all tasks, the last to arrive first."""
    activity: Activity = request.state.activity
    return await activity.find(limit, cursor)


@router.get(
    "/activity/stream",
    tags=["activity"],
    response_class=StreamingResponse,
    responses=STREAM,
)
async def stream_activity(
    request: Request, task_id: Line | None = None, last_event_id: LastEventId = None
) -> Response:
    """Send each event about a task as it arrives, as server-sent events.

    `Last-Event-ID` brings what arrived meanwhile. An event `fell-behind` says that this was more
    than can be told.
    """
    live: LiveList[TaskEvent] = request.state.live_activity
    return LiveResponse(
        await live.follow(last_event_id, lambda event: task_id in (None, event.task_id))
    )


@router.get(
    "/preferences/{user:text}",
    tags=["preferences"],
    response_model=dict[str, Any],
    responses={204: {"description": "The person has set nothing."}},
)
async def get_preferences(user: User, preferences: ThePreferences) -> Response:
    """Get what the person has set."""
    settings = await preferences.get(user)
    return Response(status_code=204) if settings is None else _json_of(settings)


@router.put("/preferences/{user:text}", tags=["preferences"], response_model=dict[str, Any])
@router.post(
    "/preferences/{user:text}",
    tags=["preferences"],
    response_model=dict[str, Any],
    operation_id="post_preferences",
)
async def put_preferences(
    user: User, settings: PersonsSettings, preferences: ThePreferences
) -> Response:
    """Replace the person's settings, any JSON object of up to 64 KB."""
    await preferences.put(user, settings)
    return _json_of(settings)


@router.get("/dead-letters", tags=["dead letters"], response_model=Page[DeadLetter])
async def list_dead_letters(
    dead_letters: TheDeadLetters,
    limit: Limit = 50,
    cursor: Cursor = None,
    reason: Reason = None,
) -> Response:
    """List what could not be handled and why, the last to arrive first."""
    return _json(await dead_letters.find(limit, cursor, reason))


@router.delete("/dead-letters", tags=["dead letters"])
async def discard_dead_letters(
    dead_letters: TheDeadLetters,
    limit: Limit = 100,
    cursor: Cursor = None,
    reason: Reason = None,
) -> Discarded:
    """Discard up to `limit` dead letters, of all or of one reason; `next_cursor` goes on."""
    return await dead_letters.discard_many(limit, cursor, reason)


@router.post("/dead-letters/replay", tags=["dead letters"])
async def replay_dead_letters(
    dead_letters: TheDeadLetters,
    limit: Limit = 100,
    cursor: Cursor = None,
    reason: Reason = None,
) -> Replayed:
    """Replay up to `limit` dead letters, of all or of one reason; `next_cursor` goes on."""
    return await dead_letters.replay_many(limit, cursor, reason)


@router.get(
    "/dead-letters/{id:id}",
    tags=["dead letters"],
    response_model=DeadLetter,
    responses=problems(404),
)
async def get_dead_letter(id: LetterId, dead_letters: TheDeadLetters) -> Response:
    """Get a message that could not be handled, and why."""
    return _json(await dead_letters.get(id))


@router.post(
    "/dead-letters/{id}/replay",
    tags=["dead letters"],
    response_model=DeadLetter,
    responses={
        204: {"description": "It is handled, and no dead letter any more."},
        **problems(404, 409),
    },
)
async def replay_dead_letter(id: LetterId, dead_letters: TheDeadLetters) -> Response:
    """Give the message back to the app that refused it; answer the letter where it stays one."""
    letter = await dead_letters.replay(id)
    return Response(status_code=204) if letter is None else _json(letter)


@router.delete(
    "/dead-letters/{id:id}", status_code=204, tags=["dead letters"], responses=problems(404)
)
async def discard_dead_letter(id: LetterId, dead_letters: TheDeadLetters) -> None:
    """Discard a message that could not be handled."""
    await dead_letters.discard(id)


def _json(model: BaseModel) -> Response:
    # The model is valid by construction, so it is not validated a second time.
    return Response(model.model_dump_json(), media_type="application/json")


def _json_of(settings: dict[str, Any]) -> Response:
    # In ASCII, as settings from before the rules of `read_json` may have halves of characters.
    return Response(json.dumps(settings), media_type="application/json")
