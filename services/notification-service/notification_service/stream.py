"""Lists live, as server-sent events.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import AsyncIterator
from contextlib import closing
from typing import TypeVar

from fastapi.sse import EventSourceResponse, format_sse_event
from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service_kit.live_lists import Follower
from service_kit.ports import Unavailable

Thing = TypeVar("Thing", bound=BaseModel)

QUIET_SECONDS = 15
"""After this a comment tells everybody on the way that the connection is in use."""
RETRY_MILLISECONDS = 2_000
FELL_BEHIND = "fell-behind"
FELL_BEHIND_DATA = '{"detail": "Some of what came meanwhile may be missing here; the list has it."}'
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class LiveResponse(StreamingResponse):
    """Tells one client what its follower is told, for as long as both are there."""

    media_type = EventSourceResponse.media_type

    def __init__(self, follower: Follower[Thing]) -> None:
        super().__init__(_events(follower), headers=HEADERS)
        self._follower = follower

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with closing(self._follower):
            await super().__call__(scope, receive, send)


async def _events(follower: Follower[Thing]) -> AsyncIterator[bytes]:
    yield format_sse_event(comment="connected", id=follower.first_id, retry=RETRY_MILLISECONDS)
    if follower.fell_behind:
        yield format_sse_event(event=FELL_BEHIND, data_str=FELL_BEHIND_DATA)
    try:
        async for told in follower.told(QUIET_SECONDS):
            if told:
                yield b"".join(
                    format_sse_event(data_str=thing.model_dump_json(), id=id) for id, thing in told
                )
            else:
                yield format_sse_event(comment="still here", id=follower.last_id)
    except Unavailable:
        return  # the client comes again, with the last id
