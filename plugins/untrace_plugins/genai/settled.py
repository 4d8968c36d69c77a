"""Whether messages are in the form already: the usual case, which needs no rewriting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from untrace_plugins.genai.names import FinishReason

__all__ = ["is_settled"]

_ROLES = frozenset({"system", "user", "assistant", "tool"})
_KEYS = frozenset({"role", "parts", "name", "finish_reason"})
_FINISHED = frozenset(FinishReason)


def is_settled(given: object) -> bool:
    """Return whether this is a list of messages that are all in the form; ``False`` also where that is not sure."""
    return isinstance(given, list) and all(isinstance(one, dict) and _message(one) for one in given)


def _message(given: Mapping[str, Any]) -> bool:
    role, parts, reason = given.get("role"), given.get("parts"), given.get("finish_reason", FinishReason.STOP)
    return (
        isinstance(role, str)
        and role in _ROLES
        and isinstance(reason, str)
        and reason in _FINISHED
        and isinstance(given.get("name"), (str, type(None)))
        and given.keys() <= _KEYS
        and isinstance(parts, list)
        and all(isinstance(part, dict) and _part(part) for part in parts)
    )


def _part(part: Mapping[str, Any]) -> bool:
    """Return whether a part is in the form, of the kinds that make up most of them."""
    match part.get("type"):
        case "text" | "reasoning":
            return isinstance(part.get("content"), str)
        case "tool_call":
            return isinstance(part.get("arguments"), dict) and "name" in part and "call_id" not in part
        case "tool_call_response":
            return "response" in part and "call_id" not in part
        case _:
            return False
