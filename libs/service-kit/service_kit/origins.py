"""Pages of other origins: what their scripts may ask and read (CORS)."""

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from service_kit.methods import METHODS

ASKED_WITH = ("Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID", "traceparent")
ANSWERED_WITH = ("Accept-Patch", "Allow", "ETag", "Location", "Retry-After")


def _listed(text: object) -> object:
    return text.replace(",", " ").split() if isinstance(text, str) else text


def _origin(text: str) -> str:
    if text != "*" and not re.fullmatch(r"https?://[^/?#@]+", text):
        raise ValueError(f"{text!r} is no origin: write * or scheme://host[:port], and no path")
    return text


Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_listed)
]
"""Separated by commas in the environment."""


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
