"""Whether messages are in the form already: the usual case, which needs no rewriting."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from untrace_plugins.genai.names import FinishReason

__all__ = ["is_settled"]

_ROLES = frozenset({"system", "user", "assistant", "tool"})
_KEYS = frozenset(
    keys
    for count in (2, 3, 4)
    for keys in permutations(("role", "parts", "name", "finish_reason"), count)
    if {"role", "parts"} <= {*keys}
)
"""Keys of messages in every order: one look-up says that all are there, and no other."""
_FINISHED = frozenset(reason.value for reason in FinishReason)


def is_settled(given: object) -> bool:
    """Return whether this is a list of messages that are all in the form; ``False`` also where that is not sure."""
    try:
        return isinstance(given, list) and all(map(_message, given))
    except TypeError:  # a list or an object where a word should be
        return False


def _message(given: Any) -> bool:
    if given.__class__ is not dict or tuple(given) not in _KEYS or given["role"] not in _ROLES:
        return False
    if given.get("finish_reason", "stop") not in _FINISHED or not isinstance(given.get("name", ""), (str, type(None))):
        return False
    parts = given["parts"]
    return parts.__class__ is list and all(map(_part, parts))


def _part(part: Any) -> bool:
    """Return whether a part is in the form, of the kinds that make up most of them."""
    if part.__class__ is not dict:
        return False
    kind = part.get("type")
    if kind == "text" or kind == "reasoning":  # noqa: PLR1714  no set: the kind may be of any type
        return part.get("content").__class__ is str
    if kind == "tool_call":
        return part.get("arguments").__class__ is dict and "name" in part and "call_id" not in part
    return kind == "tool_call_response" and "response" in part and "call_id" not in part
