"""A function that imports what the reference imports, and does nothing with it."""

from __future__ import annotations

import functions_framework
import httpx
import jwt
import postgrest
import pydantic
from flask import Request

__all__ = ["httpx", "jwt", "postgrest", "pydantic", "ready"]


@functions_framework.http
def ready(_request: Request) -> tuple[dict[str, object], int]:
    """Answer."""
    return {}, 200
