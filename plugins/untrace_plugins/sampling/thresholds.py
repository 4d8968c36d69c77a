"""Consistent probability sampling: randomness and thresholds of 56 bits (OTEP 235, W3C trace context level 2).

An item is kept when its randomness is not smaller than the threshold. Threshold 0 keeps everything, 2**56 nothing.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence

__all__ = [
    "ALL_RANDOMNESS",
    "ALWAYS",
    "NEVER",
    "parse_randomness",
    "parse_threshold",
    "probability_of",
    "randomness_of_ids",
    "randomness_text",
    "threshold_of",
    "threshold_text",
]

NEVER = 1 << 56
ALWAYS = 0
ALL_RANDOMNESS = NEVER - 1
"""The randomness that every threshold but :data:`NEVER` keeps."""

_DIGITS = 14
_HEX = re.compile(r"[0-9a-fA-F]+\Z")
_SMALLEST = 1 / NEVER


def threshold_of(probability: float, precision: int) -> int | None:
    """Return the threshold that keeps a share, rounded to hexadecimal digits; ``None`` outside of [2**-56, 1].

    Digits are added near 0 and 1, so that the relative error stays the same.
    """
    if not _SMALLEST <= probability <= 1:
        return None
    if probability == 1:
        return ALWAYS
    leading = max(_leading_digits(probability), _leading_digits(1 - probability))
    digits = min(_DIGITS, precision + leading)
    threshold = NEVER - _rounded(probability * NEVER)
    shift = 4 * (_DIGITS - digits)
    if shift:
        threshold = (threshold + (1 << (shift - 1))) >> shift << shift
    return threshold


def _leading_digits(value: float) -> int:
    """Return how many hexadecimal digits after the point are zero."""
    return max(0, -math.frexp(value)[1] // 4)


def _rounded(value: float) -> int:
    """Round half up; the usual trick of adding 0.5 is wrong just below a half."""
    whole = math.floor(value)
    return whole + (value - whole >= 0.5)  # noqa: PLR2004


def probability_of(threshold: int) -> float:
    """Return the share that a threshold keeps."""
    return (NEVER - threshold) / NEVER


def threshold_text(threshold: int) -> str:
    """Return a threshold as it is written into tracestate: hexadecimal without trailing zeros."""
    if threshold == ALWAYS:
        return "0"
    return "" if threshold == NEVER else f"{threshold:014x}".rstrip("0")


def parse_threshold(text: str) -> int | None:
    """Return what ``th`` says, or ``None`` if it is not valid."""
    if len(text) > _DIGITS or not _HEX.match(text):
        return None
    return int(text, 16) << 4 * (_DIGITS - len(text))


def randomness_text(randomness: int) -> str:
    """Return randomness as ``rv`` is written: 14 hexadecimal digits."""
    return f"{randomness:014x}"


def parse_randomness(text: str) -> int | None:
    """Return what ``rv`` says, or ``None`` if it is not valid."""
    return int(text, 16) if len(text) == _DIGITS and _HEX.match(text) else None


def randomness_of_ids(trace_ids: Sequence[bytes]) -> list[int]:
    """Return the randomness in each trace id of 16 bytes: its last 56 bits."""
    return [word & ALL_RANDOMNESS for (word,) in struct.iter_unpack(">8xQ", b"".join(trace_ids))]
