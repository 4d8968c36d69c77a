"""What answers say about when to come again: Retry-After, and the headers of rate limits."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

__all__ = ["exhausted_seconds", "read_delay", "wait_seconds"]

_RESETS = ("RateLimit-Reset", "X-RateLimit-Reset")
_REMAINING = ("RateLimit-Remaining", "X-RateLimit-Remaining")
_SURELY_A_DATE = 1_000_000_000
"""Seconds: no destination wants to be left alone for thirty years, so that number is a time since 1970."""
_MILLISECONDS = 100_000_000_000
"""A time since 1970 above this counts milliseconds."""


def wait_seconds(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds a refusal asks for, ``None`` if it does not.

    Retry-After wins over RateLimit-Reset and X-RateLimit-Reset.
    """
    delays = (read_delay(headers.get(name)) for name in ("Retry-After", *_RESETS))
    return next((delay for delay in delays if delay is not None), None)


def exhausted_seconds(headers: Mapping[str, str]) -> float:
    """Return how long a destination that took a request wants no other, because none is left; 0 if some are."""
    if not any(headers.get(name, "").strip() == "0" for name in _REMAINING):
        return 0.0
    return next((delay for name in _RESETS if (delay := read_delay(headers.get(name))) is not None), 0.0)


def read_delay(text: str | None) -> float | None:
    """Return the seconds that a header asks for: a number of them, or a time (RFC 9110, section 10.2.3, ISO 8601)."""
    if text is None:
        return None
    text = text.strip()
    number = _number(text.removesuffix("s"))
    if number is not None:
        moment = number / 1000 if number > _MILLISECONDS else number
        return max(0.0, moment - time.time()) if moment > _SURELY_A_DATE else number
    date = _moment(text)
    return None if date is None else max(0.0, date - time.time())


def _number(text: str) -> float | None:
    plain = text.isascii() and text.replace(".", "", 1).isdigit()
    number = float(text) if plain else math.inf
    return number if math.isfinite(number) else None


def _moment(text: str) -> float | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(text).timestamp()
        except (ValueError, OverflowError):
            continue
    return None
