"""What a result is over HTTP: one table from what happened to status and body."""

from __future__ import annotations

from flask import Response

from functions.execute.checks import Verdict, Word
from functions.execute.outcome import NotSent, Placed, Rejected, Status, Unknown
from functions.execute.protocol import Busy, ChecksFailed, DryRun, Exists, Result, Settled
from functions.execute.records import Execution
from shared.web import failure, json_answer


def answer(result: Result) -> Response:
    """The answer to an approval."""
    match result:
        case Exists(execution):
            return _exists(execution)
        case ChecksFailed(checks):
            return _checks_failed(checks)
        case Busy(again_after_s):
            sentence = "Too much is going on just now; nothing was sent, ask again."
            return failure(503, "BUSY", sentence, headers={"Retry-After": str(again_after_s)})
        case DryRun(execution):
            return json_answer(200, {"execution": execution.row, "recorded": True})
        case Settled():
            return _settled(result)


def _exists(execution: Execution) -> Response:
    if execution.status in ("CLAIMED", "UNKNOWN"):
        code, sentence = "EXECUTION_IN_PROGRESS", "The proposal is being executed."
    else:
        code, sentence = "ALREADY_EXECUTED", "The proposal was executed before."
    return failure(409, code, sentence, {"execution": execution.row})


def _checks_failed(checks: tuple[Verdict, ...]) -> Response:
    codes = [verdict.code for verdict in checks if verdict.verdict is Word.FAILED and verdict.code]
    sentence = f"Nothing was sent, because of {', '.join(codes) or 'checks that were not decided'}."
    return failure(422, "CHECKS_FAILED", sentence, {"checks": [verdict.as_json() for verdict in checks]})


def _settled(settled: Settled) -> Response:
    told: dict[str, object] = {"execution": settled.execution.row, "recorded": settled.recorded}
    match settled.outcome:
        case Placed() if settled.execution.status == Status.REJECTED:
            return failure(422, "ORDER_REJECTED", "The exchange took the order and rejected it.", told)
        case Placed() if settled.execution.status != Status.UNKNOWN:
            return json_answer(200, told)
        case Rejected(error_code, message):
            sentence = f"The exchange refused the order with code {error_code}; none was placed."
            exchange = {"errorCode": error_code, "error": message}
            return failure(422, "ORDER_REJECTED", sentence, {**told, "exchange": exchange})
        case NotSent(reason):
            sentence = f"The order was claimed but not sent ({reason}); none was placed."
            return failure(503, "UNAVAILABLE", sentence, told)
        case Placed() | Unknown():
            return json_answer(202, {"code": "UNKNOWN", **told})
