"""Reaching into maps and lists: ``attributes["a"]["b"][0]``."""

from __future__ import annotations

from typing import Any

from untrace_pipeline.errors import EvaluationError

__all__ = ["reach", "reach_strictly", "trace_state_entry"]


def reach(value: Any, *keys: Any) -> Any:
    """Return what lies below a value of a path: ``None`` where a map lacks the key.

    Raises :class:`EvaluationError` for an index out of bounds and for values that have nothing below them.
    """
    for key in keys:
        if value is None:
            return None
        value = _below(value, key)
    return value


def reach_strictly(value: Any, *keys: Any) -> Any:
    """Return what lies below the result of a function; a missing key is an :class:`EvaluationError` too."""
    for key in keys:
        value = _below(value, key)
        if value is None:
            msg = "there is nothing under this key"
            raise EvaluationError(msg)
    return value


def _below(value: Any, key: Any) -> Any:
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key)
    if isinstance(value, list | tuple) and type(key) is int:
        if 0 <= key < len(value):
            return value[key]
        msg = f"index {key} is out of bounds of {len(value)} values"
        raise EvaluationError(msg)
    msg = f"{type(value).__name__} cannot be indexed with {type(key).__name__}"
    raise EvaluationError(msg)


def trace_state_entry(trace_state: str, key: Any) -> str:
    """Return the value of a vendor in a W3C tracestate header, or the empty string."""
    for member in trace_state.split(","):
        name, _, value = member.strip(" \t").partition("=")
        if name == key:
            return value
    return ""
