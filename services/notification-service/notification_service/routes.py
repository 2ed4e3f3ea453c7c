"""The HTTP contract of notification-service: parse, make one call, answer."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from notification_service.dead_letters import DeadLetters
from notification_service.notifications import Activity, Notifications
from notification_service.preferences import Preferences
from notification_service.settings import Settings
from notification_service.stream import LiveNotifications
from service_kit.callbacks import only_sidecar
from service_kit.requests import ApiRoute, Limit
from shared_models import (
    DeadLetter,
    Notification,
    NotificationReceipt,
    NotificationRequest,
    Page,
    TaskEvent,
)
from shared_models.text import Line, Name

router = APIRouter(route_class=ApiRoute)

CALLER = "dapr-caller-app-id"


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
    """Refuse every caller but task-api, which the sidecar names in a header of its own."""
    await only_sidecar(request)
    settings: Settings = request.state.settings
    if request.headers.get(CALLER) != settings.task_api_app_id:
        raise HTTPException(403, f"Only {settings.task_api_app_id} may invoke notify.")


TheNotifications = Annotated[Notifications, Depends(_notifications)]
TheDeadLetters = Annotated[DeadLetters, Depends(_dead_letters)]
ThePreferences = Annotated[Preferences, Depends(_preferences)]
User = Annotated[Name, Path()]


@router.post("/notify", dependencies=[Depends(only_task_api)], tags=["notifications"])
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
    cursor: str | None = None,
) -> Page[Notification]:
    """List what was sent, newest first."""
    return await notifications.find(limit, cursor, task_id, recipient)


@router.get(
    "/notifications/stream",
    tags=["notifications"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream_notifications(request: Request) -> StreamingResponse:
    """Send each notification as it is delivered, as server-sent events."""
    live: LiveNotifications = request.state.live
    return StreamingResponse(live.events(), media_type="text/event-stream")


@router.get("/activity", tags=["activity"])
async def list_activity(
    request: Request, limit: Limit = 50, cursor: str | None = None
) -> Page[TaskEvent]:
    """List what happened to all tasks, the last to arrive first."""
    activity: Activity = request.state.activity
    return await activity.find(limit, cursor)


@router.get(
    "/preferences/{user:path}",
    tags=["preferences"],
    response_model=dict[str, Any],
    responses={204: {"description": "The person has set nothing."}},
)
async def get_preferences(user: User, preferences: ThePreferences) -> Response:
    settings = await preferences.get(user)
    return Response(status_code=204) if settings is None else _json(settings)


@router.put("/preferences/{user:path}", tags=["preferences"], response_model=dict[str, Any])
@router.post("/preferences/{user:path}", tags=["preferences"], response_model=dict[str, Any])
async def put_preferences(
    user: User, settings: dict[str, Any], preferences: ThePreferences
) -> Response:
    """Replace the person's settings, any JSON object of up to 64 KB."""
    await preferences.put(user, settings)
    return _json(settings)


@router.get("/dead-letters", tags=["dead letters"])
async def list_dead_letters(
    dead_letters: TheDeadLetters, limit: Limit = 50, cursor: str | None = None
) -> Page[DeadLetter]:
    """List what could not be handled and why, the last to arrive first."""
    return await dead_letters.find(limit, cursor)


@router.post("/dead-letters/{id}/replay", status_code=204, tags=["dead letters"])
async def replay_dead_letter(id: str, dead_letters: TheDeadLetters) -> None:
    """Publish the event again and forget the dead letter."""
    await dead_letters.replay(id)


@router.delete("/dead-letters/{id}", status_code=204, tags=["dead letters"])
async def discard_dead_letter(id: str, dead_letters: TheDeadLetters) -> None:
    await dead_letters.discard(id)


def _json(settings: dict[str, Any]) -> Response:
    # In ASCII, as settings from before the rules of `read_json` may have halves of characters.
    return Response(json.dumps(settings), media_type="application/json")
