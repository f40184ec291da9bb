"""What the exchange refuses, with the numbers and sentences of its error table.

Source: docs.bitvavo.com error codes (August 2025) and, where that table is silent, the texts that ccxt
4.5 quotes.
"""

from __future__ import annotations

_TABLE: dict[int, tuple[int, str]] = {
    101: (500, "Unknown error. Operation may or may not have succeeded."),
    102: (400, "Invalid JSON."),
    104: (429, "You have been rate limited by the number of new orders."),
    105: (
        429,
        "Your IP or API key has been banned for not respecting the rate limit. The ban expires at {0}.",
    ),
    107: (503, "The matching engine is overloaded. Please wait 500ms and resubmit your order."),
    108: (
        503,
        "The matching engine could not process your order in time. "
        "Please consider increasing the access window or resubmit your order.",
    ),
    109: (503, "The matching engine did not respond in time. Operation may or may not have succeeded."),
    111: (503, "The matching engine is unavailable. Please try again."),
    200: (
        400,
        "{0} url parameter is not supported. Please note that parameters are case-sensitive "
        "and use body parameters for PUT and POST requests.",
    ),
    201: (
        400,
        "{0} body parameter is not supported. Please note that parameters are case-sensitive "
        "and use url parameters for GET and DELETE requests.",
    ),
    202: (
        400,
        "{0} order parameter is not supported. Please note that certain parameters are only allowed "
        "for market or limit orders.",
    ),
    203: (400, "{0} parameter is required."),
    205: (400, "{0} parameter is invalid."),
    206: (
        400,
        "Use either {0} or {1}. The usage of both parameters at the same time is not supported.",
    ),
    210: (400, "Amount exceeds the maximum allowed amount ({0})."),
    211: (400, "Price exceeds the maximum allowed amount (100000000000)."),
    212: (400, "Amount is below the minimum allowed amount for this asset."),
    213: (400, "Price is below the minimum allowed amount (0.000000000000001)."),
    214: (400, "Price is too detailed"),
    215: (400, "Price is too detailed. A maximum of 15 digits behind the decimal point are allowed."),
    216: (400, "You do not have sufficient balance to complete this operation."),
    217: (400, "Minimum order size in quote currency is {0} {1}."),
    220: (400, "clientOrderId conflict within the market."),
    231: (
        400,
        "The order is rejected by the matching engine. TimeInForce must be GTC when markets are paused.",
    ),
    235: (400, "You can only have {0} open orders on each book."),
    237: (400, "{0} parameter is required for this order type."),
    240: (
        404,
        "No order found. Please be aware that simultaneously updating the same order may return this error.",
    ),
    300: (403, "Authentication is required for this endpoint."),
    301: (403, "API Key must be of length 64."),
    302: (
        403,
        "Timestamp is invalid. This must be a timestamp in ms. See Bitvavo-Access-Timestamp header "
        "or timestamp parameter for websocket.",
    ),
    303: (403, "Window must be between 100 and 60000 ms."),
    304: (
        403,
        "Request was not received within acceptable window (default 30s, or custom with "
        "Bitvavo-Access-Window header) of Bitvavo-Access-Timestamp header (or timestamp parameter "
        "for websocket).",
    ),
    305: (403, "No active API key found."),
    306: (
        403,
        "No active API key found. Please ensure that you have confirmed the API key by e-mail.",
    ),
    307: (403, "This key does not allow access from this IP."),
    308: (
        403,
        "The signature length is invalid (HMAC-SHA256 should return a 64 length hexadecimal string).",
    ),
    309: (403, "The signature is invalid."),
    310: (403, "This key does not allow trading actions."),
    311: (403, "This key does not allow showing account information."),
    312: (403, "This key does not allow withdrawal of funds."),
    410: (400, "Withdrawals for this asset are not available at this time."),
    422: (400, "Price is not a multiple of the tick size ({0})."),
    423: (400, "The market is halted."),
    424: (400, "The market only allows cancelling orders."),
    425: (400, "The market is in auction."),
    426: (400, "The market is matching its auction."),
    429: (400, "Too many decimals in {0}."),
}

CODES = frozenset(_TABLE)


class Refusal(ValueError):  # noqa: N818 - an answer of the exchange, not an error of it
    """The exchange says no: `{"errorCode": code, "error": sentence}` with the HTTP status of that code."""

    def __init__(self, code: int, *details: object) -> None:
        self.code = code
        self.http_status, sentence = _TABLE[code]
        self.sentence = sentence.format(*details)
        super().__init__(f"{code}: {self.sentence}")

    @property
    def body(self) -> dict[str, object]:
        return {"errorCode": self.code, "error": self.sentence}
