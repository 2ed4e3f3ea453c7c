"""Pages of other origins: what their scripts may ask and read (CORS)."""

from collections.abc import Sequence

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from service_kit.methods import METHODS

ASKED_WITH = ("Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID", "traceparent")
ANSWERED_WITH = ("Accept-Patch", "Allow", "ETag", "Location", "Retry-After")


def let_pages_call(app: FastAPI, origins: Sequence[str]) -> None:
    """Let scripts on pages of `origins` use the HTTP contract; without origins, none may."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=ASKED_WITH,
            expose_headers=ANSWERED_WITH,
        )
