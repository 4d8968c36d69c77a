"""Points in time as SDKs write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["nanoseconds"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LIMIT = 1 << 63
_MILLISECONDS_FROM = 1e11
"""Numbers from here on are milliseconds: as seconds they would be the year 5138."""


def nanoseconds(value: Any) -> int | None:
    """Return nanoseconds since 1970 of ISO 8601 (without a zone: UTC), or of seconds or milliseconds as a number.

    ``None`` for what is none of these, or before 1970.
    """
    if isinstance(value, str):
        found = _of_text(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:  # noqa: PLR0124  NaN
        found = _of_number(value)
    else:
        return None
    return found if found is not None and 0 <= found < _LIMIT else None


def _of_text(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND * 1000


def _of_number(value: float) -> int | None:
    if abs(value) > _LIMIT:
        return None
    scale = 1_000_000 if abs(value) >= _MILLISECONDS_FROM else 1_000_000_000
    return value * scale if isinstance(value, int) else int(value * scale)
