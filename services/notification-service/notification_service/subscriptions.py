"""What the sidecar of notification-service delivers. components/ binds the topics to the routes."""

from fastapi import APIRouter, Depends, Request

from notification_service.dead_letters import DeadLetters
from notification_service.notifications import Activity
from service_kit.callbacks import Answer, settle, settle_raw
from service_kit.sidecar_token import only_sidecar
from shared_models import CHANGES_INTENDED, CloudEvent, TaskEvent

router = APIRouter(dependencies=[Depends(only_sidecar)], include_in_schema=False)


@router.post("/events/task-events")
async def task_events(request: Request) -> Answer:
    activity: Activity = request.state.activity

    async def handle(event: CloudEvent) -> None:
        if event.type != CHANGES_INTENDED:  # a dead letter of task-api's that was replayed
            await activity.add(TaskEvent.model_validate(event.data))

    return await settle(request, handle)


@router.post("/events/task-events-dead")
async def dead_letters(request: Request) -> Answer:
    kept: DeadLetters = request.state.dead_letters

    return await settle_raw(request, kept.add)
