"""Lists whose entries stand directly in them, or in groups with options of their own, as the Collector has them."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["grouped"]


def grouped(key: str) -> Callable[[object], object]:
    """Return a validator that gathers entries that stand in a list directly into one group, under ``key``.

    Raises ``ValueError`` where some stand directly and some in groups.
    """

    def gather(value: object) -> object:
        if not isinstance(value, list):
            return value
        groups = [one for one in value if isinstance(one, dict) and key in one]
        direct = [one for one in value if not (isinstance(one, dict) and key in one)]
        if groups and direct:
            msg = f"either {key} or groups of {key}, not both in one list"
            raise ValueError(msg)
        return [{key: direct}] if direct else groups

    return gather
