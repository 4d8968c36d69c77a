"""Times as text."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["iso_time"]


def iso_time(nanos: int) -> str:
    """Return nanoseconds since the Unix epoch as a time of UTC with nine digits after the point."""
    seconds, rest = divmod(nanos, 10**9)
    return f"{_to_the_second(seconds)}.{rest:09}Z"


@lru_cache(maxsize=4096)
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
