"""Logs: a constant event name and fields; JSON outside development."""

import logging
import sys

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send


def configure_logs(*, json: bool, level: str = "INFO") -> None:
    """Send every log line of this process to standard output, one line each."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class TraceContext:
    """Binds the trace id of each request (W3C `traceparent`) to its log lines."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The server gives each request a context of its own, so nothing is left from another one.
        for name, value in scope.get("headers", ()):
            if name == b"traceparent" and value.count(b"-") == 3:
                trace_id = value.split(b"-")[1].decode("latin-1")
                structlog.contextvars.bind_contextvars(trace_id=trace_id)
        await self._app(scope, receive, send)
