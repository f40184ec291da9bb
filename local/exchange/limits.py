"""Rate limits: points per minute, by key when a request is signed, by address when it is not.

Source: docs.bitvavo.com, rate limits. The window is the whole minute that the reset header names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from local.exchange.refusals import Refusal

MINUTE_MS = 60_000
BAN_SIGNED_MS = MINUTE_MS
BAN_UNSIGNED_MS = 15 * MINUTE_MS


@dataclass
class _Account:
    minute: int = 0
    spent: int = 0
    banned_until_ms: int = 0


@dataclass
class Limits:
    """Points spent in this minute, and bans. `points` may be changed while running."""

    points: int = 1000
    _accounts: dict[str, _Account] = field(default_factory=dict)

    def spend(self, who: str, signed: bool, weight: int, now_ms: int) -> dict[str, str]:
        """Charge a request and give the three headers of its answer.

        Raises Refusal 105 while banned, and when this request is the one that goes over.
        """
        account = self._accounts.setdefault(who, _Account())
        if now_ms < account.banned_until_ms:
            raise Refusal(105, account.banned_until_ms)
        if account.minute != now_ms // MINUTE_MS:
            account.minute, account.spent = now_ms // MINUTE_MS, 0
        if account.spent + weight > self.points:
            account.spent = self.points
            account.banned_until_ms = now_ms + (BAN_SIGNED_MS if signed else BAN_UNSIGNED_MS)
            raise Refusal(105, account.banned_until_ms)
        account.spent += weight
        return self.headers(who, now_ms)

    def headers(self, who: str, now_ms: int) -> dict[str, str]:
        account = self._accounts.get(who)
        spent = account.spent if account and account.minute == now_ms // MINUTE_MS else 0
        return {
            "Bitvavo-Ratelimit-Limit": str(self.points),
            "Bitvavo-Ratelimit-Remaining": str(max(0, self.points - spent)),
            "Bitvavo-Ratelimit-ResetAt": str((now_ms // MINUTE_MS + 1) * MINUTE_MS),
        }

    def forget(self) -> None:
        """Lift every ban and give back every point."""
        self._accounts.clear()
