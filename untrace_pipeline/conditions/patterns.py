"""Regular expressions with RE2: the syntax of Go, and time that grows with the text and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from untrace_pipeline.errors import ConditionError

__all__ = ["Pattern", "compile_pattern", "found_in"]

Pattern = Any
"""A compiled pattern of google-re2, which has no types: ``search(text)``, ``groupindex``, ``groups``."""


@lru_cache(maxsize=128)
def compile_pattern(pattern: str) -> Pattern:
    """Compile a pattern. Raises :class:`ConditionError` with RE2's own words."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        cause = error.args[0] if error.args else error
        text = cause.decode(errors="replace") if isinstance(cause, bytes) else str(cause)
        msg = f"{pattern!r} is no regular expression: {text}"
        raise ConditionError(msg) from error


def found_in(patterns: tuple[str, ...]) -> Callable[[list[str]], list[bool]]:
    """Return a function that says for each text whether one of the patterns is found in it.

    Equal texts of a column are searched once: names, models and services repeat.
    """
    searches = [compile_pattern(pattern).search for pattern in dict.fromkeys(patterns)]

    def test(texts: list[str]) -> list[bool]:
        known = {text: any(search(text) is not None for search in searches) for text in set(texts)}
        return [known[text] for text in texts]

    return test
