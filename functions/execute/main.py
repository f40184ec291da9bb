"""The entry point of the cloud function: settings in, HTTP out. The protocol is in `protocol`."""

from __future__ import annotations

import gc
import os
import sys

from flask import Request, Response

from functions.execute.service import build, handle
from shared import log
from shared.environment import load
from shared.errors import SettingsError
from shared.events import Event

log.configure("execute", os.environ.get("GOOGLE_CLOUD_PROJECT"))
try:
    _settings = load("execute", os.environ)
except SettingsError as error:
    sys.exit(str(error))
_service = build(_settings)
log.log(Event.FUNCTION_STARTED, mode=_settings.trading_mode)
# The server forks now. What the collector visited would no longer be shared: a quarter more memory in all.
gc.freeze()


def execute(request: Request) -> Response:
    """Serve one request; the name that functions-framework is given."""
    return handle(_service, request)
