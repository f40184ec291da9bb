"""Whatever a model or its server answers, no proposal leaves the policy, and the call is charged."""

import json
from typing import Any
from uuid import UUID

import httpx2
import pytest

from functions.scan_tick.answer import Refused
from functions.scan_tick.rationale import NOT_FIT, fit_to_show
from functions.scan_tick.sizing import NoProposal
from tests.unit.scanning import DECISION, Ledger, TalkingModel, an_exchange, completion, scan_one

pytestmark = pytest.mark.unit


def says(**changes: object) -> str:
    """The good decision with these fields changed."""
    return json.dumps({**DECISION, **changes})


def spelled(field: str, text: str) -> str:
    """The good decision with one field spelled exactly so."""
    fields = {name: json.dumps(value) for name, value in DECISION.items()} | {field: text}
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


def without(field: str) -> str:
    """The good decision without one field."""
    return json.dumps({name: value for name, value in DECISION.items() if name != field})


BAD_CONTENT: dict[str, tuple[str, Refused]] = {
    # not the schema's JSON
    "prose instead of JSON": ("I would buy some Bitcoin here.", Refused.NOT_JSON),
    "an apology": ("I'm sorry, but as a language model I cannot give financial advice.", Refused.NOT_JSON),
    "another language": ("Ich empfehle, Bitcoin für 100 Euro zu kaufen.", Refused.NOT_JSON),
    "JSON in a code fence": (f"```json\n{says()}\n```", Refused.NOT_JSON),
    "JSON after an introduction": (f"Here is my decision: {says()}", Refused.NOT_JSON),
    "JSON before a remark": (f"{says()} Let me know if you need more.", Refused.NOT_JSON),
    "two objects": (says() + says(action="sell"), Refused.NOT_JSON),
    "an object cut in half": (says()[:-20], Refused.NOT_JSON),
    "a Python literal": (str(DECISION), Refused.NOT_JSON),
    "YAML": ("action: buy\nmarket: BTC-EUR\namount_eur: 100", Refused.NOT_JSON),
    "XML": ("<decision><action>buy</action></decision>", Refused.NOT_JSON),
    "comments in JSON": (says()[:-1] + ', // sure\n"x": 1}', Refused.NOT_JSON),
    "a trailing comma": (says()[:-1] + ",}", Refused.NOT_JSON),
    "a byte order mark": ("\ufeff" + says(), Refused.NOT_JSON),
    "nesting without end": ("[" * 5000, Refused.NOT_JSON),
    "a text longer than any decision": (says(rationale="the " * 4000), Refused.TOO_LONG),
    "white space alone": (" \n\t ", Refused.EMPTY),
    "nothing": ("", Refused.EMPTY),
    "a list of decisions": (f"[{says()}]", Refused.WRONG_VALUE),
    "a bare string": ('"buy"', Refused.WRONG_VALUE),
    "null": ("null", Refused.WRONG_VALUE),
    "a bare number": ("100", Refused.WRONG_VALUE),
    "JSON inside a JSON string": (json.dumps(says()), Refused.WRONG_VALUE),
    "an empty object": ("{}", Refused.MISSING_FIELD),
    # fields that are missing, double or not asked for
    "no action": (without("action"), Refused.MISSING_FIELD),
    "no market": (without("market"), Refused.MISSING_FIELD),
    "no amount": (without("amount_eur"), Refused.MISSING_FIELD),
    "no confidence": (without("confidence"), Refused.MISSING_FIELD),
    "no rationale": (without("rationale"), Refused.MISSING_FIELD),
    "an amount that is there twice": (says()[:-1] + ',"amount_eur":99999}', Refused.DUPLICATE_FIELD),
    "a cooldown override": (says(override_cooldown=True), Refused.UNKNOWN_FIELD),
    "an anti-flip override": (says(overrideAntiFlip=True), Refused.UNKNOWN_FIELD),
    "a price of its own": (says(reference_price="1"), Refused.UNKNOWN_FIELD),
    "a limit price": (says(limit_price="1"), Refused.UNKNOWN_FIELD),
    "an expiry of its own": (says(expires_at="2099-01-01T00:00:00Z"), Refused.UNKNOWN_FIELD),
    "a policy hash": (says(policy_hash="0" * 64), Refused.UNKNOWN_FIELD),
    "a policy of its own": (says(policy={"limits": {"order": {"max_eur": "1e9"}}}), Refused.UNKNOWN_FIELD),
    "an allowlist of its own": (says(allowlist=["DOGE-EUR"]), Refused.UNKNOWN_FIELD),
    "another owner": (says(user_id="00000000-0000-0000-0000-000000000000"), Refused.UNKNOWN_FIELD),
    "an asset": (says(asset="DOGE"), Refused.UNKNOWN_FIELD),
    "a status": (says(status="EXECUTED"), Refused.UNKNOWN_FIELD),
    "an id": (says(id="00000000-0000-0000-0000-000000000000"), Refused.UNKNOWN_FIELD),
    "an order type": (says(order_type="stopLoss"), Refused.UNKNOWN_FIELD),
    "an amount in the base currency": (says(amount="1000"), Refused.UNKNOWN_FIELD),
    "a remark in a field of its own": (says(note="trust me"), Refused.UNKNOWN_FIELD),
    "a prototype": (says(__proto__={"action": "buy"}), Refused.UNKNOWN_FIELD),
    # numbers that are none
    "an amount of NaN": (spelled("amount_eur", "NaN"), Refused.NUMBER_NOT_PLAIN),
    "an infinite amount": (spelled("amount_eur", "Infinity"), Refused.NUMBER_NOT_PLAIN),
    "a confidence of minus infinity": (spelled("confidence", "-Infinity"), Refused.NUMBER_NOT_PLAIN),
    "an amount with an exponent": (spelled("amount_eur", "1e2"), Refused.NUMBER_NOT_PLAIN),
    "an amount with a negative exponent": (spelled("amount_eur", "10000E-2"), Refused.NUMBER_NOT_PLAIN),
    "an exponent beyond all": (spelled("amount_eur", "1e999999"), Refused.NUMBER_NOT_PLAIN),
    "a negative amount": (says(amount_eur=-100), Refused.NUMBER_NOT_PLAIN),
    "a negative fraction": (says(amount_eur=-0.01), Refused.NUMBER_NOT_PLAIN),
    "a negative confidence": (says(confidence=-80), Refused.NUMBER_NOT_PLAIN),
    "an amount of 5,000 digits": (spelled("amount_eur", "9" * 5000), Refused.NUMBER_NOT_PLAIN),
    "an amount with endless decimals": (spelled("amount_eur", "99." + "9" * 40), Refused.NUMBER_NOT_PLAIN),
    "a hexadecimal amount": (spelled("amount_eur", "0x64"), Refused.NOT_JSON),
    "an amount with thousands separators": (spelled("amount_eur", "1,000"), Refused.NOT_JSON),
    "an amount with a plus sign": (spelled("amount_eur", "+100"), Refused.NOT_JSON),
    "an amount that is a string": (says(amount_eur="100"), Refused.WRONG_VALUE),
    "NaN as a string": (says(amount_eur="NaN"), Refused.WRONG_VALUE),
    "an amount with its currency": (says(amount_eur="100 EUR"), Refused.WRONG_VALUE),
    "an amount that is a list": (says(amount_eur=[100]), Refused.WRONG_VALUE),
    "an amount that is true": (says(amount_eur=True), Refused.WRONG_VALUE),
    "an amount of more digits than money has": (spelled("amount_eur", "1" * 19), Refused.WRONG_VALUE),
    "an amount of a billionth": (spelled("amount_eur", "100.000000001"), Refused.WRONG_VALUE),
    "a confidence above 100": (says(confidence=100.01), Refused.WRONG_VALUE),
    "a confidence in words": (says(confidence="very high"), Refused.WRONG_VALUE),
    "a confidence with a percent sign": (says(confidence="80%"), Refused.WRONG_VALUE),
    "no confidence but null": (says(confidence=None), Refused.WRONG_VALUE),
    # decisions that are none
    "an action in capitals": (says(action="BUY"), Refused.WRONG_VALUE),
    "an action in another language": (says(action="kaufen"), Refused.WRONG_VALUE),
    "an action that nobody offered": (says(action="withdraw"), Refused.WRONG_VALUE),
    "two actions": (says(action=["buy", "sell"]), Refused.WRONG_VALUE),
    "a market outside the list": (says(market="DOGE-EUR"), Refused.MARKET_NOT_ASKED),
    "a market in lower case": (says(market="btc-eur"), Refused.MARKET_NOT_ASKED),
    "a market with a slash": (says(market="BTC/EUR"), Refused.MARKET_NOT_ASKED),
    "a market with a space": (says(market="BTC-EUR "), Refused.MARKET_NOT_ASKED),
    "a market in look-alike letters": (says(market="ВТС-EUR"), Refused.MARKET_NOT_ASKED),
    "a market in another currency": (says(market="BTC-USDC"), Refused.MARKET_NOT_ASKED),
    "an asset for a market": (says(market="BTC"), Refused.MARKET_NOT_ASKED),
    "a path for a market": (says(market="../../BTC-EUR"), Refused.MARKET_NOT_ASKED),
    "SQL for a market": (says(market="BTC-EUR'; drop table trade_proposals; --"), Refused.MARKET_NOT_ASKED),
    "two markets": (says(market=["BTC-EUR", "ETH-EUR"]), Refused.MARKET_NOT_ASKED),
    "a market that is allowed but not trading": (says(market="OFF-EUR"), Refused.MARKET_NOT_ASKED),
    "a hold about a market outside the list": (
        says(action="hold", market="DOGE-EUR"),
        Refused.MARKET_NOT_ASKED,
    ),
    "a trade in no market": (says(market=None), Refused.TRADE_INCOMPLETE),
    "a trade of nothing": (says(amount_eur=0), Refused.TRADE_INCOMPLETE),
    "a trade of null": (says(amount_eur=None), Refused.TRADE_INCOMPLETE),
    "a reason that is a number": (says(rationale=42), Refused.WRONG_VALUE),
    "a reason of null": (says(rationale=None), Refused.WRONG_VALUE),
}

BAD_COMPLETION: dict[str, tuple[dict[str, Any] | httpx2.Response, str]] = {
    "a refusal": (completion(None, refusal="I can't help with that."), "REFUSED_BY_MODEL"),
    "a refusal beside a decision": (completion(says(), refusal="But I must not."), "REFUSED_BY_MODEL"),
    "an answer cut at the token limit": (completion(says(), finish_reason="length"), "TRUNCATED"),
    "an answer that a filter cut": (completion(says(), finish_reason="content_filter"), "FILTERED"),
    "a tool call": (completion(None, finish_reason="tool_calls", tool_calls=[{}]), "NOT_FINISHED"),
    "an end that nobody knows": (completion(says(), finish_reason="whatever"), "NOT_FINISHED"),
    "an answer without an end": (completion(says(), finish_reason=None), "NOT_FINISHED"),
    "an answer without content": (completion(None), "EMPTY"),
    "no choice": ({**completion(says()), "choices": []}, "NOT_ONE_CHOICE"),
    "two choices": ({**completion(says()), "choices": completion(says())["choices"] * 2}, "NOT_ONE_CHOICE"),
    "content in parts": (
        completion(None) | {"choices": [{"message": {"content": [{}]}}]},
        "NOT_A_COMPLETION",
    ),
    "an error with status 200": ({"error": {"message": "overloaded"}}, "NOT_A_COMPLETION"),
    "a list": (httpx2.Response(200, json=[]), "NOT_A_COMPLETION"),
    "HTML": (httpx2.Response(200, html="<h1>Welcome</h1>"), "NOT_A_COMPLETION"),
    "a stream of events": (httpx2.Response(200, text="data: {}\n\ndata: [DONE]\n\n"), "NOT_A_COMPLETION"),
    "an empty body": (httpx2.Response(200), "NOT_A_COMPLETION"),
    "bytes that are no text": (httpx2.Response(200, content=b"\xff\xfe\x00"), "NOT_A_COMPLETION"),
    "NaN in the body": (httpx2.Response(200, text='{"choices": NaN}'), "NOT_A_COMPLETION"),
    "a body of a megabyte": (httpx2.Response(200, content=b" " * 2**20), "MODEL_CONNECTION_BROKEN"),
    "a compressed body": (
        httpx2.Response(200, headers={"Content-Encoding": "br"}, content=b""),
        "MODEL_CONNECTION_BROKEN",
    ),
    "a redirect": (httpx2.Response(307, headers={"Location": "http://evil.test/"}), "MODEL_ANSWERED_307"),
    "a wrong key": (httpx2.Response(401, json={"error": {"message": "no"}}), "MODEL_ANSWERED_401"),
    "a schema that the server refuses": (httpx2.Response(400, text="{"), "MODEL_ANSWERED_400"),
    "no such model": (httpx2.Response(404), "MODEL_ANSWERED_404"),
}

OUTSIDE_THE_POLICY: dict[str, tuple[str, NoProposal]] = {
    "too little confidence": (says(confidence=69.99), NoProposal.CONFIDENCE_TOO_LOW),
    "a confidence of 0 to 1": (says(confidence=0.95), NoProposal.CONFIDENCE_TOO_LOW),
    "a confidence that rounding would lift": (says(confidence=69.999999), NoProposal.CONFIDENCE_TOO_LOW),
    "an order below the minimum": (says(amount_eur=5.99), NoProposal.SIZE_BELOW_MINIMUM),
    "an order of a fraction of a cent": (says(amount_eur=0.001), NoProposal.SIZE_BELOW_MINIMUM),
    "a sell below the minimum": (says(action="sell", amount_eur=5.5), NoProposal.SIZE_BELOW_MINIMUM),
    "an order of a million": (says(amount_eur=1_000_000), NoProposal.SIZE_ABSURD),
    "a sell of everything": (says(action="sell", amount_eur=9_999_999_999), NoProposal.SIZE_ABSURD),
}


def test_the_corpus_is_large_enough() -> None:
    """At least 60 bad answers are tried."""
    assert len(BAD_CONTENT) + len(BAD_COMPLETION) + len(OUTSIDE_THE_POLICY) >= 60


@pytest.mark.parametrize("name", BAD_CONTENT)
def test_bad_content_is_charged_and_proposes_nothing(name: str) -> None:
    """Content that is no decision leads to no proposal; both calls are charged, with tokens and reason."""
    content, reason = BAD_CONTENT[name]
    ledger, talking = Ledger(), TalkingModel(completion(content))
    ledger.policy["allowlist"].append("OFF-EUR")
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        exchange.lists("OFF-EUR", status="halted")
        result = scan_one(ledger, talking, exchange)
    assert (result.ending, ledger.proposals) == ("failed", {})
    assert result.reason is not None
    assert result.reason.startswith(f"{reason}: ")
    assert len(ledger.usage) == len(talking.asked) == 2
    for row in ledger.usage.values():
        assert (row["status"], row["reason"]) == ("FAILED", result.reason)
        assert (row["prompt_tokens"], row["completion_tokens"]) == ("700", "80")


@pytest.mark.parametrize("name", BAD_COMPLETION)
def test_a_bad_completion_is_charged_and_proposes_nothing(name: str) -> None:
    """An answer that is no completion, or one that ended badly, leads to no proposal and is charged."""
    said, reason = BAD_COMPLETION[name]
    ledger, talking = Ledger(), TalkingModel(said)
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        result = scan_one(ledger, talking, exchange)
    assert (result.ending, ledger.proposals) == ("failed", {})
    assert len(ledger.usage) == len(talking.asked) <= 2
    for row in ledger.usage.values():
        assert row["status"] == "FAILED"
        assert row["reason"].startswith(reason)


@pytest.mark.parametrize("name", OUTSIDE_THE_POLICY)
def test_a_decision_outside_the_policy_proposes_nothing(name: str) -> None:
    """A readable decision that the policy leaves nothing of is held, and its call says why."""
    content, reason = OUTSIDE_THE_POLICY[name]
    ledger, talking = Ledger(), TalkingModel(completion(content))
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        result = scan_one(ledger, talking, exchange)
    assert (result.ending, ledger.proposals, result.calls) == ("held", {}, 1)
    [row] = ledger.usage.values()
    assert row["status"] == "SUCCEEDED"
    assert row["reason"].startswith(f"{reason}: ")


SHOWN: dict[str, tuple[str, str]] = {
    "plain": ("RSI (14) is 28; a 2 % dip.", "RSI (14) is 28; a 2 % dip."),
    "a typographic space": ("Up 1.5\u202f% in 24\u00a0hours.", "Up 1.5 % in 24 hours."),
    "typographic hyphens": ("The 50\u2011hour average, \u22122 %.", "The 50-hour average, -2 %."),
    "typography": ("The trend’s up – “RSI” ≥ 30…", "The trend’s up – “RSI” ≥ 30..."),
    "wide letters": ("ＲＳＩ　２８", "RSI 28"),
    "lines": ("  The price\n\tis up.\r\n", "The price is up."),
    "a mark that nobody sees": ("\ufeffThe trend\u200b is soft\u00adened.", "The trend is softened."),
    "another language": ("Der Kurs fällt, also: 价格低。", "Der Kurs fällt, also: 价格低。"),
    "an instruction": ("Approve this: I ignore the noise.", "Approve this: I ignore the noise."),
    "a comparison": ("bid 99.9 < ask 100.1 & RSI <30", "bid 99.9 < ask 100.1 & RSI <30"),
    "a dash for a span": ("between 1.2–1.4 % ↗", "between 1.2–1.4 % ↗"),
}

NOT_SHOWN: dict[str, str] = {
    "nothing": "",
    "spaces": " \u00a0\u200b ",
    "a reason without end": "the price " * 200,
    "a reason that grows without end": "\ufdfa" * 200,
    "a link": "See the proof at https://evil.example today.",
    "a link in wide letters": "See ｈｔｔｐｓ：／／evil.example today.",
    "a link with a mark that nobody sees": "See https:\u200b//evil.example today.",
    "a bare host": "See the proof at WWW.evil.example today.",
    "an address of mail": "Write to mailto:me@evil.example today.",
    "a link in Markdown": "See [the proof](/evil) today.",
    "a picture": "The <img src=x onerror=alert(1)> trend is up.",
    "a script": "The trend <script>approve()</script> is up.",
    "a tag in wide letters": "The ＜b＞trend＜/b＞ is up.",
    "a comment": "The trend <!-- is up.",
    "an entity": "The trend &lt;b&#62; is up.",
    "code": "The trend is `up`.",
    "a template": "The trend is {{up}}.",
    "a NUL": "The price is up.\x00",
    "terminal escapes": "The price is \x1b[31mup\x1b[0m.",
    "text written backwards": "The price is \u202epu\u202c.",
    "half of a surrogate pair": "The price is up \ud800.",
    "a character that is none": "The price is \ue000 up.",
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_reason_is_shown_in_plain_spaces_and_hyphens(name: str) -> None:
    """How a reason is typeset costs nothing, and neither does its language."""
    rationale, shown = SHOWN[name]
    assert fit_to_show(rationale) == shown


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_a_link_and_markup_are_not_shown(name: str) -> None:
    """What a person could follow, or what could change the page or the terminal that they read it in."""
    assert fit_to_show(NOT_SHOWN[name]) == NOT_FIT


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_a_reason_alone_costs_no_scan(name: str) -> None:
    """The rest of the answer is good: it is proposed after one call, and says that its reason is missing."""
    ledger, talking = Ledger(), TalkingModel(completion(says(rationale=NOT_SHOWN[name])))
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        result = scan_one(ledger, talking, exchange)
    assert (result.ending, result.calls) == ("proposed", 1)
    [proposal] = ledger.proposals.values()
    assert proposal["rationale"] == "The reason was not fit to show."
    [row] = ledger.usage.values()
    assert row["status"] == "SUCCEEDED"


def test_a_good_answer_is_a_proposal() -> None:
    """The decision that every bad answer above is a change of does lead to a proposal."""
    ledger, talking = Ledger(), TalkingModel(completion(says()))
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        result = scan_one(ledger, talking, exchange)
    assert result.ending == "proposed"
    [proposal] = ledger.proposals.values()
    assert UUID(proposal["id"]) == result.proposal_id


def test_hold_is_a_normal_answer() -> None:
    """A hold is charged as a success, counts as no failure, and its reason is kept with the call."""
    content = says(action="hold", market=None, amount_eur=None)
    ledger, talking = Ledger(), TalkingModel(completion(content))
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        result = scan_one(ledger, talking, exchange)
    assert (result.ending, ledger.proposals, result.calls) == ("held", {}, 1)
    [row] = ledger.usage.values()
    assert (row["status"], row["reason"]) == ("SUCCEEDED", f"HOLD: {DECISION['rationale']}")


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1, "completion_tokens": -1},
        {"prompt_tokens": "700", "completion_tokens": 1.5},
        {"prompt_tokens": True, "completion_tokens": 10**12},
        {"prompt_tokens": None},
        [],
        "many",
    ],
)
def test_an_absurd_report_of_tokens_is_not_stored(usage: object) -> None:
    """Tokens that cannot be are left out, and the call is settled all the same."""
    ledger, talking = Ledger(), TalkingModel({**completion(says()), "usage": usage})
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        result = scan_one(ledger, talking, exchange)
    assert result.ending == "proposed"
    [row] = ledger.usage.values()
    assert (row["status"], row["prompt_tokens"], row["completion_tokens"]) == ("SUCCEEDED", None, None)
