"""What providers say when a call fails: a type of few different words, and a text, from which keys are taken out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from untrace_plugins.genai.media import first
from untrace_plugins.genai.providers.reader import Json, mapping

__all__ = ["Failure", "failure", "failure_of_status", "masked", "without"]

LONGEST_MESSAGE: Final = 1024
MASK: Final = "***"
SHORTEST_SECRET: Final = 6

_WORD = re.compile(r"[A-Za-z_][\w.-]{0,63}")
"""What may be a type: it becomes a label of metrics."""
_KEY = re.compile(
    r"""(?ix)
    (?<![a-z0-9]) (?:sk|pk|rk|ak|csk|xai|gsk|hf|r8|pplx|nvapi|tgp|fw|key|lsv2|phc|gh[pousr]|glpat|xox[abp])
        [-_][\w*.\-]{6,}
    | (?-i:AIza)[\w-]{8,}
    | (?-i:(?:AKIA|ASIA)[A-Z0-9]{8,})
    | (?-i:eyJ)[\w-]{8,}(?:\.[\w-]+)*
    | (?<= bearer\s ) [^\s"',;]{6,}
    | (?<= basic\s ) [a-z0-9+/=]{8,}
    | (?<= key\sprovided:\s ) [^\s"',;]+
    | (?<= key:\s ) [^\s"',;]{6,}
    | (?<= [?&]key= ) [^\s"'&]+
    | (?<= [?&]sig= ) [^\s"'&]+
    """
)
"""Keys as vendors make them, and what stands where a key does. Providers quote what they refuse."""


class Failure(NamedTuple):
    """Why a call failed, as the provider has it."""

    type: str
    """Empty if it does not say."""
    message: str


def failure(answer: Json) -> Failure | None:
    """Return the error that an answer is or holds, of any provider's form; ``None`` if there is none."""
    found = answer.get("error")
    if isinstance(found, dict) and found:
        return Failure(_type(found), _message(found))
    if isinstance(found, str) and found:
        return Failure("", masked(found))
    return None


def failure_of_status(answer: Json) -> Failure:
    """Return what the answer to a call that was refused says, also where it does not call that an error."""
    return failure(answer) or Failure(_type(answer), _message(answer))


def _type(given: Json) -> str:
    """Return the most particular of its words: ``invalid_api_key`` rather than ``invalid_request_error``."""
    words = (given.get("code"), given.get("status"), given.get("type"))
    return next((word for word in words if isinstance(word, str) and word != "error" and _WORD.fullmatch(word)), "")


def _message(given: Json) -> str:
    found = first(given, "message", "detail", "error_description", "msg")
    if isinstance(found, list):
        found = "; ".join(str(mapping(one).get("msg", one)) for one in found)
    return masked(found) if isinstance(found, str) else ""


def masked(text: str) -> str:
    """Return a text without keys, and not longer than a message needs to be."""
    return _KEY.sub(MASK, text[: 2 * LONGEST_MESSAGE])[:LONGEST_MESSAGE]


def without(text: str, secrets: Iterable[str]) -> str:
    """Return a text without these secrets; those that are too short to be one would make it unreadable."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return text
