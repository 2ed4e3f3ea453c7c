"""The load of the fault ledger hides no attempt that failed, and the logs no delivery."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from faults.load import Load
from faults.observations import logged_deliveries


@asynccontextmanager
async def answering(*answers: int | None) -> AsyncIterator[str]:
    """Serve on a free port; each request takes the next answer, None being a lost connection."""
    left = list(answers)

    async def handle(request: web.Request) -> web.Response:
        answer = left.pop(0)
        if answer is None:
            assert request.transport
            request.transport.abort()
            return web.Response()
        return web.json_response({}, status=answer)

    application = web.Application()
    application.router.add_route("*", "/{any:.*}", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def idle(url: str) -> Load:
    """Return a load whose clients do nothing of their own accord."""
    load = Load([url], name="load", seed="1")
    load.stopping = True
    return load


async def test_every_failed_attempt_is_counted_and_the_request_is_answered_in_the_end() -> None:
    async with answering(200, 503, None, None, 200) as url, idle(url) as load:
        chance = random.Random(1)
        await load.send(chance, "GET", "/tasks")  # now there is a connection to use again
        # An HTTP client would repeat a PUT on a lost connection by itself, and say nothing.
        answer, again = await load.send(chance, "PUT", "/tasks/1")
    assert (answer.status, again) == (200, True)
    assert [each.why.split(" ")[:3] for each in load.failed] == [
        ["PUT", "/tasks/1:", "503"],
        ["PUT", "/tasks/1:", "Unanswered"],
        ["PUT", "/tasks/1:", "Unanswered"],
    ]
    assert len(load.latencies) == 3


async def test_an_answer_that_the_contract_does_not_have_counts_and_is_not_asked_for_again() -> (
    None
):
    async with answering(500) as url, idle(url) as load:
        answer, again = await load.send(random.Random(1), "GET", "/tasks")
    assert (answer.status, again) == (500, False)
    assert len(load.failed) == 1


async def test_an_error_of_the_client_is_an_answer() -> None:
    async with answering(412) as url, idle(url) as load:
        await load.send(random.Random(1), "GET", "/tasks")
    assert load.failed == []


def test_deliveries_are_found_in_logs_for_people_and_for_machines(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(
        "2026-11-21T10:00:00Z [info     ] notification_delivered notification_id=n1 task_id=t1\n"
        "2026-11-21T10:00:00Z [info     ] something_else notification_id=n9\n"
    )
    (tmp_path / "b.log").write_text(
        '{"notification_id": "n2", "task_id": "t1", "event": "notification_delivered"}\n'
    )
    assert list(logged_deliveries(tmp_path)) == ["n1", "n2"]
