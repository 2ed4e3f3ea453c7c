"""Callbacks are for the own sidecar, also while its token is changed."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import TypeVar

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from starlette.exceptions import HTTPException

from notification_service.in_memory_adapters import in_memory_adapters as notifications_in_memory
from notification_service.main import create_app as create_notification_service
from service_kit.in_memory_adapters import InMemorySecrets
from service_kit.ports import Unavailable
from service_kit.settings import ServiceSettings
from service_kit.sidecar_token import PAUSE_SECONDS, SidecarToken
from task_api.in_memory_adapters import in_memory_adapters
from task_api.main import create_app
from tests.deliveries import bulk
from tests.simulation.virtual_loop import ProcessLoop, VirtualTime

SETTINGS = ServiceSettings(app_id="a", app_port=1)
SECRET = SETTINGS.app_api_token_secret
Result = TypeVar("Result")


class ChangingSecrets(InMemorySecrets):
    """A secret store that remembers when it was asked."""

    def __init__(self, time: VirtualTime, secrets: dict[str, str]) -> None:
        super().__init__(secrets)
        self.asked_at: list[float] = []
        self.away = False
        self._time = time

    async def get(self, key: str) -> str | None:
        self.asked_at.append(self._time.now)
        secret = await super().get(key)
        await asyncio.sleep(0.01)  # on the way, when it may be an old one already
        if self.away:
            raise Unavailable("the secret store is away")
        return secret


class Life(RuleBasedStateMachine):
    """Tokens are changed, the sidecar restarts, strangers guess; time and outages pass."""

    def __init__(self) -> None:
        super().__init__()
        self.time = VirtualTime()
        self.loop = ProcessLoop.new(self.time)
        self.kept = {SECRET: "token-0"}
        self.secrets = ChangingSecrets(self.time, self.kept)
        self.token = SidecarToken(self.secrets, SETTINGS)
        self.of_sidecar = "token-0"
        self.shown = True
        self.retired: list[str] = []

    @initialize()
    def begin(self) -> None:
        self.run(self.token.__aenter__())
        self.pass_time(1)
        self.calls("token-0")

    # Who changes the token twice before the restarted sidecar made a call has to restart the pod:
    # the first of the two is nowhere any more.
    @precondition(lambda self: self.shown)
    @rule()
    def the_token_is_changed(self) -> None:
        self.kept[SECRET] = f"token-{int(self.kept[SECRET].removeprefix('token-')) + 1}"

    @rule()
    def the_sidecar_restarts(self) -> None:
        if self.of_sidecar != self.kept[SECRET]:
            self.retired.append(self.of_sidecar)
            self.of_sidecar = self.kept[SECRET]
            self.shown = False

    @rule(seconds=st.floats(0, 2 * PAUSE_SECONDS))
    def pass_time(self, seconds: float) -> None:
        until = self.time.now + seconds
        while self.time.next_timer() <= until:
            self.time.pass_to_next_timer()
        self.time.now = until

    @rule()
    def the_secret_store_goes(self) -> None:
        self.secrets.away = True

    @rule()
    def the_secret_store_comes_back(self) -> None:
        self.secrets.away = False

    @rule(guesses=st.lists(st.text("tokens-0123456789ü", max_size=9), max_size=3))
    def all_call_at_once(self, guesses: list[str]) -> None:
        strangers = [each for each in guesses if each not in self.all_tokens()]
        if self.shown:
            strangers += self.retired
        sidecar, *others = self.run(answers_to(self.token, self.of_sidecar, *strangers))
        assert None not in others, "a stranger was let in"
        if sidecar is not None:
            assert isinstance(sidecar, Unavailable) and self.secrets.away and not self.shown
        self.shown = self.shown or sidecar is None

    @precondition(lambda self: self.shown)
    @rule()
    def all_is_changed_while_a_guess_is_looked_up(self) -> None:
        asked = len(self.secrets.asked_at)
        self.loop.create_task(self.token.check(request_with("guess")))
        self.loop.run_ready()
        while len(self.secrets.asked_at) == asked:
            self.time.pass_to_next_timer()
        self.the_token_is_changed()
        self.the_sidecar_restarts()
        self.all_call_at_once([])

    @rule(guess=st.text("guess", min_size=1))
    def a_stranger_guesses(self, guess: str) -> None:
        with pytest.raises((HTTPException, Unavailable)):
            self.calls(guess)

    @invariant()
    def the_secret_store_is_asked_now_and_then_at_most(self) -> None:
        asked = self.secrets.asked_at[1:]  # the first time is at the start
        pauses = [later - sooner for sooner, later in pairwise(asked)]
        assert all(pause >= PAUSE_SECONDS - 1e-6 for pause in pauses), pauses

    def all_tokens(self) -> set[str]:
        return {self.kept[SECRET], self.of_sidecar, *self.retired}

    def calls(self, token: str) -> None:
        self.run(self.token.check(request_with(token)))

    def run(self, work: Awaitable[Result]) -> Result:
        async def wait() -> Result:
            return await work

        task = self.loop.create_task(wait())
        self.loop.run_ready()
        while not task.done():
            self.time.pass_to_next_timer()
        return task.result()


async def answers_to(token: SidecarToken, *sent: str) -> list[BaseException | None]:
    """Return what calls that come together are answered; None is let in."""
    checks = (token.check(request_with(each)) for each in sent)
    return await asyncio.gather(*checks, return_exceptions=True)


def request_with(token: str) -> Request:
    headers = [(b"dapr-api-token", token.encode("latin-1"))]
    return Request({"type": "http", "headers": headers})


TestLife = Life.TestCase
TestLife.settings = settings(deadline=None, max_examples=100)


async def test_a_caller_that_gives_up_takes_no_other_along() -> None:
    kept = {SECRET: "old"}
    async with SidecarToken(InMemorySecrets(kept), SETTINGS) as token:
        await asyncio.sleep(0)  # it reads the old one
        kept[SECRET] = "new"
        stranger, sidecar = (
            asyncio.create_task(token.check(request_with(each))) for each in ("guess", "new")
        )
        await asyncio.sleep(0)  # both wait
        stranger.cancel()
        await sidecar


def task_api(secrets: InMemorySecrets) -> FastAPI:
    return create_app(adapters=in_memory_adapters()._replace(secrets=secrets))


def notification_service(secrets: InMemorySecrets) -> FastAPI:
    adapters = notifications_in_memory()._replace(secrets=secrets)
    return create_notification_service(adapters=adapters)


@pytest.mark.parametrize("service", [task_api, notification_service])
def test_a_changed_token_is_taken_without_a_restart_of_the_service(
    service: Callable[[InMemorySecrets], FastAPI],
) -> None:
    kept = {SECRET: "old"}
    with TestClient(service(InMemorySecrets(kept))) as client:

        def delivers(token: str) -> bool:
            headers = {"dapr-api-token": token}
            return client.post(
                "/events/task-events", json=bulk("task-events"), headers=headers
            ).is_success

        assert delivers("old")
        kept[SECRET] = "new"
        assert delivers("old"), "the sidecar has the old one until it is started again"
        assert delivers("new")
