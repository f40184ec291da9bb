"""A scripted stand-in for a language model, behind the OpenAI chat completions API.

Its decisions are computed from the numbers in the request, so a cycle on it is deterministic and offline.
"""

from local.model.app import MODEL, create_app
from local.model.rule import Decision, decide

__all__ = ["MODEL", "Decision", "create_app", "decide"]
