"""Lists whose entries stand directly in them, or in groups with options of their own, as the Collector has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidatorFunctionWrapHandler

from untrace_plugins.processors.mistakes import Mistake, at_their_places

__all__ = ["checked_groups", "grouped"]

T = TypeVar("T")


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


def checked_groups(
    key: str, mistakes: Callable[[T], Mapping[int | None, ValueError]]
) -> Callable[[object, ValidatorFunctionWrapHandler], list[T]]:
    """Return a validator around :func:`grouped` that tells the mistakes of each group where they were written.

    ``mistakes`` returns them by the place of the entry in the group, ``None`` for what the group as a whole has.
    """

    def check(value: object, validated: ValidatorFunctionWrapHandler) -> list[T]:
        groups: list[T] = validated(value)
        found: list[Mistake] = []
        for place, group in enumerate(groups):
            stands = _stands(value, place, key)
            for inner, mistake in _once(mistakes(group)).items():
                within = () if inner is None else (key, inner) if stands else (inner,)
                found.append(((place, *within) if stands else within, mistake))
        if found:
            raise at_their_places(found)
        return groups

    return check


def _once(mistakes: Mapping[int | None, ValueError]) -> Mapping[int | None, ValueError]:
    """Return what is wrong with every entry alike, such as the context, as said of the group."""
    alike = len({str(mistake) for mistake in mistakes.values()}) == 1
    return {None: next(iter(mistakes.values()))} if alike and len(mistakes) > 1 else mistakes


def _stands(value: Any, place: int, key: str) -> bool:
    """Return whether the group was written as one."""
    return isinstance(value, list) and isinstance(value[place], dict) and key in value[place]
