"""The question that a scan asks: a versioned prompt, the numbers as delimited data, the schema of the answer.

Pure but for the prompt, which is read once from the file beside this module. What is asked is hashed, so that
a proposal can be traced to exactly what the model saw.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from functions.scan_tick.answer import answer_schema
from functions.scan_tick.market import MarketFacts, Unusable
from shared.money import plain
from shared.policy import TradingPolicy

PROMPT_VERSION = "v1"
"""Stored with every proposal. A changed prompt is a new file and a new version."""

MOST_MARKETS = 20
"""Markets that one question holds."""

_PROMPT = Path(__file__).with_name(f"prompt_{PROMPT_VERSION}.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Question:
    """What is sent, ready to be encoded. `input_hash` is the SHA-256 of it all, in hex."""

    model: str
    messages: tuple[Mapping[str, str], ...]
    response_format: Mapping[str, Any]
    markets: tuple[str, ...]
    prompt_version: str = PROMPT_VERSION

    @property
    def input_hash(self) -> str:
        """Equal for equal questions and for no others."""
        asked = {"model": self.model, "messages": self.messages, "response_format": self.response_format}
        return hashlib.sha256(_canonical(asked).encode()).hexdigest()

    @property
    def most_tokens(self) -> int:
        """An upper estimate of its tokens: the bytes of all that is sent, as a token has one at least."""
        return len(_canonical({"messages": self.messages, "response_format": self.response_format}).encode())

    def asked_again(self, reason: str) -> "Question":
        """The same question after an answer that was refused.

        It names our reason and quotes nothing of the answer, which nobody has vouched for.
        """
        again = f"Your answer to this was refused ({reason}). Answer once more, with the schema's JSON alone."
        return Question(
            self.model,
            (*self.messages, {"role": "user", "content": again}),
            self.response_format,
            self.markets,
            self.prompt_version,
        )


def ask_about(facts: Sequence[MarketFacts], policy: TradingPolicy, model: str) -> Question:
    """The question about these markets, of which there is one at least, under this policy."""
    markets = tuple(each.market for each in facts)
    data = {
        "sizes": {
            "least_eur": plain(policy.limits.order.min_eur),
            "most_eur": plain(policy.limits.order.max_eur),
        },
        "markets": [each.numbers() for each in facts],
    }
    return Question(
        model=model,
        messages=(
            {"role": "system", "content": _PROMPT},
            {"role": "user", "content": f"<data>\n{_canonical(data)}\n</data>"},
        ),
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "decision", "strict": True, "schema": answer_schema(markets)},
        },
        markets=markets,
    )


def snapshot(facts: Sequence[MarketFacts], unusable: Sequence[Unusable]) -> dict[str, object]:
    """What the scan knew of each allowlisted market, kept with the proposal."""
    return {
        "markets": {each.market: each.numbers() for each in facts},
        "left_alone": {each.market: f"{each.trouble}: {each.sentence}" for each in unusable},
    }


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
