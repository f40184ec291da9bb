"""The model's reason, as a person may be shown it. Pure.

A person reads it before they decide. By itself it decides nothing: one that is not fit to show costs no
proposal.
"""

import re
import unicodedata

NOT_FIT = "The reason was not fit to show."
"""Stands in the place of a reason that holds a link, markup, or what no page or terminal should be handed."""

LONGEST_RATIONALE = 1_200

_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2012\u2212"), "-")
_LINK_OR_MARKUP = re.compile(r"://|\bwww\.|\bmailto:|\]\(|<[a-z/!?]|&#?\w+;|[`{}]", re.IGNORECASE)
_NO_LETTERS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Unicode's categories of controls, direction marks, halves of pairs, and what is no character."""


def fit_to_show(rationale: str) -> str:
    """The reason in plain spaces and hyphens, or `NOT_FIT`. Its language and what it says are not judged."""
    plain = unicodedata.normalize("NFKC", rationale).translate(_INVISIBLE | _HYPHENS)
    plain = " ".join(plain.split())
    fits = (
        0 < len(plain) <= LONGEST_RATIONALE
        and not _LINK_OR_MARKUP.search(plain)
        and not any(unicodedata.category(character) in _NO_LETTERS for character in plain)
    )
    return plain if fits else NOT_FIT
