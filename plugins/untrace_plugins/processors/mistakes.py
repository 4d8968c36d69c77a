"""Mistakes found by a validator of a whole list or mapping, each with its own place in it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

__all__ = ["Mistake", "at_their_places"]

Mistake = tuple[tuple[str | int, ...], ValueError]
"""Where, from the validated value on, and what."""


def at_their_places(mistakes: Sequence[Mistake]) -> ValidationError:
    """Return one error for a validator to raise; ``validate`` then shows each of them where it stands."""
    return ValidationError.from_exception_data(
        "mistakes",
        [{"type": "value_error", "loc": place, "input": None, "ctx": {"error": error}} for place, error in mistakes],
    )
