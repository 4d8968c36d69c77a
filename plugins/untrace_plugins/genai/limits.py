"""Beyond which numbers nobody means what a span says of a call: one broken value would spoil sums for ever."""

from __future__ import annotations

from typing import Final

__all__ = ["MOST_TOKENS", "MOST_USD"]

MOST_TOKENS: Final = 10**10
"""Some thousand times the largest context window."""
MOST_USD: Final = 1e6
"""US dollars for one call."""
