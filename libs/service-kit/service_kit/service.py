"""What the two applications have in common: their frame, their health, their life."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from uvicorn.config import STARTUP_FAILURE

from service_kit.body_limit import BodyLimit
from service_kit.callbacks import CALLBACKS
from service_kit.hosts import OneHost
from service_kit.logs import TraceContext, configure_logs
from service_kit.methods import Methods
from service_kit.needs import Needs
from service_kit.openapi import OF_ALL, complete_document, operation_id, problems
from service_kit.origins import let_pages_call
from service_kit.ports import Secrets, Sidecar, StateStore, Unavailable
from service_kit.problems import RETRY_LATER, answer_with_problems, problem, unavailable
from service_kit.protocol import ProblemProtocol
from service_kit.readiness import Readiness
from service_kit.requests import ApiRoute, ReadableUrl
from service_kit.server import DrainingServer, called_at_stop
from service_kit.settings import ServiceSettings
from service_kit.sidecar_token import SidecarToken
from service_kit.subscriptions import Subscription, UnknownPaths, router_of


def create_service(
    title: str,
    description: str,
    settings: ServiceSettings,
    *,
    sidecar: Sidecar,
    store: StateStore,
    secrets: Secrets,
    routes: APIRouter,
    subscriptions: Sequence[Subscription],
    state: Mapping[str, object],
    statuses: Mapping[type[Exception], int],
    redelivered_by: str | None = None,
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    at_stop: Sequence[Callable[[], None]] = (),
) -> FastAPI:
    """Return an application with problem responses, health routes and a sidecar connection.

    Args:
        sidecar: entered at start and left at the end.
        routes: the HTTP contract.
        redelivered_by: app-id of the service that may have messages handled once more.
        background: what runs from the start to the end.
        state: what the routes find in `request.state`.
        statuses: the HTTP status of each of the service's own errors.
        at_stop: end what would go on for ever, such as the responses of streams.
    """
    token = SidecarToken(secrets, settings)
    everywhere = {"settings": settings, "sidecar_token": token}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, object]]:
        async with sidecar, token:
            running = [asyncio.create_task(each()) for each in background]
            try:
                with called_at_stop(at_stop):
                    yield {**state, **everywhere}
            finally:
                for each in running:
                    each.cancel()
                await asyncio.gather(*running, return_exceptions=True)

    app = FastAPIOffline(
        title=title,
        description=description,
        lifespan=lifespan,
        responses=problems(*OF_ALL),
        redirect_slashes=False,
        redoc_url=None,
        generate_unique_id_function=operation_id,
        # Else the page asks a host of others whether the document is valid.
        swagger_ui_parameters={"validatorUrl": None},
    )
    app.router.route_class = ApiRoute
    app.add_middleware(Methods, routes=app.routes)
    app.add_middleware(ReadableUrl)
    app.add_middleware(OneHost)
    # Around those that answer without reading the body.
    app.add_middleware(BodyLimit, exempt=CALLBACKS)
    app.add_middleware(TraceContext)
    let_pages_call(app, settings.cors_origins)
    answer_with_problems(app, statuses)
    unknown_paths = UnknownPaths(subscriptions)
    for status in (404, 405):
        app.add_exception_handler(status, unknown_paths)

    readiness = Readiness(Needs.of(settings, subscriptions), sidecar, store)

    @app.get("/health", tags=["health"])
    async def health() -> dict[str, str]:
        """Say that the process is alive."""
        return {"status": "healthy"}

    @app.get("/health/ready", tags=["health"])
    async def ready() -> JSONResponse:
        """Say whether the store answers through the sidecar, and what the sidecar lacks."""
        try:
            missing = await readiness.missing()
            token.ensure_known()
        except Unavailable as error:
            return unavailable(error)
        if missing:
            return problem(503, "; ".join(missing), RETRY_LATER, missing=missing)
        return JSONResponse({"status": "ready"})

    app.state.subscriptions = tuple(subscriptions)
    app.include_router(routes)
    app.include_router(router_of(subscriptions, redelivered_by))
    complete_document(app)
    return app


def serve(application: str, settings: ServiceSettings) -> None:
    """Run the application factory `application`, such as `task_api.main:create_app`."""
    configure_logs(json=settings.log_json, level=settings.log_level)
    # A request leaves little for the collector of cycles, and it looks at everything else as well:
    # at its usual pace it takes a tenth of the time.
    gc.set_threshold(50_000, 50, 1000)
    server = DrainingServer(
        uvicorn.Config(
            application,
            factory=True,
            host=settings.app_host,
            port=settings.app_port,
            access_log=False,
            log_config=None,
            http=ProblemProtocol,
            # Longer than clients and load balancers keep an idle connection: whoever closes it
            # first must not be the one that a request is on its way to.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=10,
        ),
        settings.drain_for,
    )
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
