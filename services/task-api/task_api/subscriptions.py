"""What the sidecar of task-api delivers. components/ binds the topics to these routes."""

from fastapi import APIRouter, Depends, Request

from service_kit.callbacks import Answer, settle
from service_kit.sidecar_token import only_sidecar
from shared_models import CHANGES_INTENDED, CloudEvent, TaskEvent, TaskEventType
from task_api.announcements import Announcements
from task_api.notifier import Notifier, completed

router = APIRouter(dependencies=[Depends(only_sidecar)], include_in_schema=False)


@router.post("/events/task-changes")
async def task_changes(request: Request) -> Answer:
    announcements: Announcements = request.state.announcements
    return await settle(request, announcements.handle)


@router.post("/events/task-events")
async def task_events(request: Request) -> Answer:
    notifier: Notifier = request.state.notifier
    announcements: Announcements = request.state.announcements

    async def handle(event: CloudEvent) -> None:
        if event.type == CHANGES_INTENDED:  # a dead letter that was replayed
            await announcements.handle(event)
        else:
            await notifier.notify(completed(TaskEvent.model_validate(event.data)))

    return await settle(request, handle, types={TaskEventType.COMPLETED, CHANGES_INTENDED})
