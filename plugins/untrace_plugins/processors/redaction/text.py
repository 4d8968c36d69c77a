"""Values as the Collector writes them where it needs a string (``pcommon.Value.AsString``)."""

from __future__ import annotations

import math

from untrace_pipeline.conditions import values
from untrace_pipeline.data import Value

__all__ = ["as_string"]


def as_string(value: Value) -> str:
    """Return the Collector's text of a value; "" for a list or map in which a number is not finite.

    Go's encoder gives up on the whole of it, where ``conditions`` writes what is there.
    """
    return "" if isinstance(value, list | dict) and not _is_finite(value) else values.as_string(value)


def _is_finite(value: Value) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
