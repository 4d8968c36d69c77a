"""Texts made shorter, so that everybody sees it: a cut ends in ``…[truncated N]``, N being what is missing.

JSON stays JSON where that is possible: its longest texts are cut, so that a platform still shows messages as messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

__all__ = ["Measure", "level_for", "shortened", "size_in_bytes", "size_in_chars"]

Measure = Callable[[str], int]
"""The size of a text, in the unit that a platform counts."""

LEAST = 32
"""Texts are not cut to less: the mark alone takes that much."""
_TRIES = 4
_NARROWER = 0.8
"""Of the level, after a try that was too long: escapes and marks take room."""


def size_in_bytes(text: str) -> int:
    """Return the size of a text in UTF-8."""
    return len(text.encode(errors="surrogatepass"))


def size_in_chars(text: str) -> int:
    """Return the number of characters."""
    return len(text)


def shortened(text: str, limit: int, measure: Measure) -> str:
    """Return a text of at most ``limit``, marked; as it is if it fits."""
    if measure(text) <= limit:
        return text
    if text[:1] in {"[", "{"} and (found := _json(text, limit, measure)) is not None:
        return found
    return _cut(text, limit, measure)


def level_for(sizes: Sequence[int], excess: int) -> int:
    """Return the size to cut the longest to, so that ``excess`` goes in all; at least :data:`LEAST`."""
    ordered = sorted(sizes, reverse=True)
    above = 0
    for number, size in enumerate(ordered, start=1):
        above += size
        following = ordered[number] if number < len(ordered) else 0
        if above - number * following >= excess:
            return max((above - excess) // number, LEAST)
    return LEAST


def _cut(text: str, limit: int, measure: Measure) -> str:
    keep = min(len(text), limit)
    while True:
        found = f"{text[:keep]}…[truncated {len(text) - keep}]"
        excess = measure(found) - limit
        if excess <= 0 or not keep:
            return found
        keep = max(0, keep - max(1, excess // 4))  # a character takes four bytes at most


def _json(text: str, limit: int, measure: Measure) -> str | None:
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    sizes = [measure(leaf) for leaf in _leaves(parsed)]
    level = level_for(sizes, measure(text) - limit)
    for _ in range(_TRIES):
        found = orjson.dumps(_with_short_leaves(parsed, level, measure)).decode()
        if measure(found) <= limit:
            return found
        if level <= LEAST:
            return None
        level = max(LEAST, int(level * _NARROWER))
    return None


def _leaves(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _with_short_leaves(value: Any, level: int, measure: Measure) -> Any:
    if isinstance(value, str):
        return _cut(value, level, measure) if measure(value) > level else value
    if isinstance(value, dict):
        return {key: _with_short_leaves(one, level, measure) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_short_leaves(one, level, measure) for one in value]
    return value
