"""JSONPath: the plain paths that nearly all are, walked directly, and jsonpath-ng for all others.

Plain is ``$.user["first name"][0].tags[*]``: names, indexes, and all elements of a list. That is some
fifty times faster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from untrace_pipeline.data import Value
from untrace_pipeline.errors import ConditionError

__all__ = ["json_finder"]

_STEP = re.compile(
    r"""\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?![A-Za-z0-9_-])
    | \[(?P<quote>['"])(?P<quoted>[^'"\\]+)(?P=quote)\]
    | \[(?P<index>\d{1,9})\]
    | (?P<all>\[\*\])""",
    re.VERBOSE,
)
_ALL = object()

Find = Callable[[Any], list[Value]]


def json_finder(path: str) -> Find:
    """Return a function that finds all values of a JSONPath. Raises :class:`ConditionError`."""
    steps = _plain_steps(path)
    return _walker(steps) if steps is not None else _general_finder(path)


def _plain_steps(path: str) -> Sequence[Any] | None:
    if not path.startswith("$"):
        return None
    steps: list[Any] = []
    position = 1
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            return None
        name = found["name"] or found["quoted"]
        steps.append(_ALL if found["all"] else int(found["index"]) if found["index"] else name)
        position = found.end()
    return steps


def _walker(steps: Sequence[Any]) -> Find:
    def find(document: Any) -> list[Value]:
        values = [document]
        for step in steps:
            if step is _ALL:
                values = [one for value in values for one in _elements(value)]
            elif isinstance(step, str):
                values = [value[step] for value in values if isinstance(value, dict) and step in value]
            else:
                values = [value[step] for value in values if isinstance(value, list) and step < len(value)]
        return values

    return find


def _elements(value: Any) -> Iterable[Any]:
    """Return what ``[*]`` gives: elements of a list, values of a map."""
    return value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()


def _general_finder(path: str) -> Find:
    from jsonpath_ng.ext.parser import parse  # noqa: PLC0415  40 ms, for paths that need it

    if "=~" in path or "`sub(" in path:
        msg = f"{path!r}: patterns inside of a JSONPath are not allowed; use the operator regex"
        raise ConditionError(msg)
    try:
        parsed = parse(path)
    except Exception as error:  # noqa: BLE001  of the library's own, some have no common base
        msg = f"{path!r} is no known field and no JSONPath: {str(error).splitlines()[0] if str(error) else error!r}"
        raise ConditionError(msg) from None

    def find(view: Any) -> list[Value]:
        try:
            return [match.value for match in parsed.find(view)]
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            return []  # what the path asks cannot be asked of these values: nothing is found

    return find
