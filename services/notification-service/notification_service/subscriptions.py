"""What the sidecar of notification-service delivers. components/ binds the topics to the routes."""

from fastapi import APIRouter, Depends, Request

from notification_service.dead_letters import DeadLetters
from notification_service.notifications import Activity
from service_kit.callbacks import Answer, BulkAnswer, only_sidecar, raw_payload, settle, settle_bulk
from shared_models import CHANGES_INTENDED, CloudEvent, TaskEvent

router = APIRouter(dependencies=[Depends(only_sidecar)], include_in_schema=False)


@router.post("/events/task-events")
async def task_events(request: Request) -> BulkAnswer:
    activity: Activity = request.state.activity

    async def handle(event: CloudEvent) -> None:
        if event.type != CHANGES_INTENDED:  # a dead letter of task-api's that was replayed
            await activity.add(TaskEvent.model_validate(event.data))

    return await settle_bulk(request, handle)


@router.post("/events/task-events-dead")
async def dead_letters(request: Request) -> Answer:
    kept: DeadLetters = request.state.dead_letters

    async def handle(event: CloudEvent) -> None:
        await kept.add(raw_payload(event))

    return await settle(request, handle, dead_letters=False)
