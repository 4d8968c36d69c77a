"""Writing inside of maps and lists without changing them: what leads to the place is copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from untrace_pipeline.data import Value
from untrace_pipeline.errors import EvaluationError

__all__ = ["put_inside", "put_trace_state"]

_LONGEST_LIST = 10_000
"""An index that is written to in nothing makes a list of that length: a wild one shall not fill the memory."""


def put_inside(root: Any, keys: Sequence[Any], value: Value) -> Any:
    """Return ``root`` with a value at the place that keys lead to; maps and lists on the way are made where absent.

    Raises :class:`EvaluationError` where a key does not fit, or an index is out of bounds.
    """
    if not keys:
        return value
    key, *rest = keys
    if isinstance(root, dict) or (root is None and isinstance(key, str)):
        return _in_map(root or {}, key, rest, value)
    if isinstance(root, list) or (root is None and type(key) is int):
        return _in_list(root, key, rest, value)
    msg = f"{type(root).__name__} cannot be indexed with {type(key).__name__}"
    raise EvaluationError(msg)


def _in_map(root: dict[str, Any], key: Any, rest: Sequence[Any], value: Value) -> dict[str, Any]:
    if not isinstance(key, str):
        msg = f"a map is indexed with a string, not {type(key).__name__}"
        raise EvaluationError(msg)
    if value is None and not rest:
        return {name: other for name, other in root.items() if name != key}
    return {**root, key: put_inside(root.get(key), rest, value)}


def _in_list(root: list[Any] | None, key: Any, rest: Sequence[Any], value: Value) -> list[Any]:
    if type(key) is not int:
        msg = f"a list is indexed with a whole number, not {type(key).__name__}"
        raise EvaluationError(msg)
    if root is None:
        if not 0 <= key < _LONGEST_LIST:
            msg = f"index {key} is out of bounds"
            raise EvaluationError(msg)
        root = [None] * (key + 1)
    if not 0 <= key < len(root):
        msg = f"index {key} is out of bounds of {len(root)} values"
        raise EvaluationError(msg)
    return [*root[:key], put_inside(root[key], rest, value), *root[key + 1 :]]


def put_trace_state(trace_state: Any, keys: Sequence[Any], value: Value) -> str:
    """Return a W3C tracestate with the entry of a vendor set; what changed stands in front, as the standard asks."""
    if len(keys) != 1 or not isinstance(keys[0], str) or not isinstance(value, str):
        msg = "vendor and value of a trace state are strings"
        raise EvaluationError(msg)
    members = [member.strip(" \t") for member in trace_state.split(",")]
    others = [member for member in members if member and member.partition("=")[0] != keys[0]]
    return ",".join([f"{keys[0]}={value}", *others])
