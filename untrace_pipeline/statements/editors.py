"""The editors of OTTL (pkg/ottl/ottlfuncs/README.md, Editors), each as an edit of one target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from untrace_pipeline.conditions.expression import Expression, Frame, Kind
from untrace_pipeline.conditions.function import Function, fixed, fixed_texts
from untrace_pipeline.conditions.functions import FUNCTIONS
from untrace_pipeline.conditions.globs import compile_glob
from untrace_pipeline.conditions.paths import CACHE, Scope
from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_pipeline.data import ATTRIBUTES, Context, Field, Level
from untrace_pipeline.errors import ConditionError, EvaluationError
from untrace_pipeline.statements import maps
from untrace_pipeline.statements.edit import UNCHANGED, Edit, assignment
from untrace_pipeline.statements.replacing import formatted, pattern_of, replaced, template_of
from untrace_pipeline.statements.storable import storable
from untrace_pipeline.statements.targets import Target

__all__ = ["EDITORS", "as_function"]

Given: TypeAlias = Mapping[str, Any]
Build: TypeAlias = Callable[[Scope, Target, Given], Edit]

_INPUT = Field(Level.ITEM, "input")


def as_function(name: str, scope: Scope) -> Callable[[Any], Any]:
    """Return a converter of one argument as a function of a value. Raises :class:`ConditionError`."""
    converter = FUNCTIONS.get(name)
    if converter is None or len([one for one in converter.parameters if not one.endswith("?")]) != 1:
        msg = f"{name} is no function of one value"
        raise ConditionError(msg)
    argument = Expression(lambda frame: frame.columns[_INPUT])
    compiled = converter.build(scope, {converter.parameters[0].rstrip("?*"): argument})

    def call(value: Any) -> Any:
        result = compiled.evaluate(Frame(Context(), 1, columns={_INPUT: [value]}))[0]
        if isinstance(result, EvaluationError):
            raise result
        return result

    return call


# ------------------------------------------------------------------ arguments


def _count(given: Given, name: str) -> int:
    number = fixed(given, name, int)
    if number < 0:
        msg = f"{name} cannot be negative"
        raise ConditionError(msg)
    return number


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    msg = f"a string is needed, not {type(value).__name__}"
    raise EvaluationError(msg)


# -------------------------------------------------------------------- editors


def _set(scope: Scope, target: Target, given: Given) -> Edit:
    value: Expression = given["value"]
    if value.kind is not target.kind:
        hint = _KIND_HINTS.get(value.kind if target.kind is Kind.VALUE else target.kind, "")
        msg = f"a {target.kind.value} is needed here, not a {value.kind.value}{hint}"
        raise ConditionError(msg)
    return assignment(target, value)


_KIND_HINTS = {
    Kind.TIME: "; UnixNano(…) makes a number of a time, Unix(…) and Time(…) a time",
    Kind.DURATION: "; Nanoseconds(…) makes a number of it",
    Kind.ID: "; TraceID(…) and SpanID(…) make an id, the path .string has its text",
}


def _delete_key(scope: Scope, target: Target, given: Given) -> Edit:
    key: Expression = given["key"]
    whole = target.field
    if key.constant and isinstance(key.constant[0], str) and whole.name in {ATTRIBUTES, CACHE} and whole.key is None:
        place = replace(target, field=Field(whole.level, whole.name, key.constant[0]), accept=storable)
        return Edit(place, lambda: None, modifies=False)
    return Edit(target, lambda old, name: maps.keep_where(old, _as_text(name).__ne__), (key,), sound=True)


def _matching(wanted: bool) -> Build:
    """Return ``delete_matching_keys`` or ``keep_matching_keys``."""

    def build(scope: Scope, target: Target, given: Given) -> Edit:
        def function(old: Any, pattern: Any) -> Any:
            search = pattern_of(pattern).search
            return maps.keep_where(old, lambda key: (search(key) is not None) is wanted)

        return Edit(target, function, (_pattern(given["pattern"]),), sound=True)

    return build


def _pattern(expression: Expression) -> Expression:
    """Return a pattern; one that is written out is tried now. Raises :class:`ConditionError`."""
    if expression.constant:
        try:
            pattern_of(expression.constant[0])
        except EvaluationError:
            compile_pattern(str(expression.constant[0]))  # for RE2's own words
            raise ConditionError("a pattern is a string") from None
    return expression


def _keep_keys(scope: Scope, target: Target, given: Given) -> Edit:
    keys: list[Expression] = given["keys"]
    if all(key.constant for key in keys):
        names = frozenset(fixed_texts(given, "keys"))
        return Edit(target, lambda old: maps.keep_where(old, names.__contains__), sound=True)
    return Edit(target, lambda old, *some: maps.keep_where(old, set(some).__contains__), tuple(keys), sound=True)


def _limit(scope: Scope, target: Target, given: Given) -> Edit:
    count, priority = _count(given, "limit"), fixed_texts(given, "priority_keys")
    if count < len(priority):
        msg = f"limit {count} is less than the number of priority_keys"
        raise ConditionError(msg)
    return Edit(target, lambda old: maps.limit(old, count, priority), sound=True)


def _truncate_all(scope: Scope, target: Target, given: Given) -> Edit:
    size, marker = _count(given, "limit"), fixed(given, "truncation_marker", str, "")
    fixed(given, "utf8_safe", bool, True)  # we always cut between characters: text is UTF-8 on the wire
    if len(marker.encode()) > size:
        msg = "the truncation_marker is longer than the limit"
        raise ConditionError(msg)
    return Edit(target, lambda old: maps.truncate(old, size, marker), sound=True)


def _flatten(scope: Scope, target: Target, given: Given) -> Edit:
    depth = fixed(given, "depth", int, 1 << 62)
    if depth < 1:
        msg = "depth must be greater than 0"
        raise ConditionError(msg)
    prefix, resolve = fixed(given, "prefix", str, ""), fixed(given, "resolveConflicts", bool, False)
    return Edit(target, lambda old: maps.flatten(old, prefix, depth, resolve_conflicts=resolve))


def _merge_maps(scope: Scope, target: Target, given: Given) -> Edit:
    strategy = fixed(given, "strategy", str)
    if strategy not in {"insert", "update", "upsert"}:
        msg = f"strategy is insert, update or upsert, not {strategy!r}"
        raise ConditionError(msg)
    return Edit(target, lambda old, new: maps.merge_maps(old, new, strategy), (given["source"],))


def _append(scope: Scope, target: Target, given: Given) -> Edit:
    values = [given["value"]] if "value" in given else []
    values += given.get("values", [])
    if not values:
        msg = "value or values is needed"
        raise ConditionError(msg)
    return Edit(target, maps.append, tuple(values))


def _delete_index(scope: Scope, target: Target, given: Given) -> Edit:
    names = ("startIndex", "endIndex")
    return Edit(target, maps.delete_index, tuple(given[name] for name in names if name in given))


def _stringify_all(scope: Scope, target: Target, given: Given) -> Edit:
    return Edit(target, maps.stringify)


# ------------------------------------------------------------------ replacing


def _through(scope: Scope, given: Given) -> Callable[[str], str]:
    """Return what is done to a replacement: the function and the format of the call, if it has them."""
    name, template = given.get("function"), fixed(given, "replacementFormat", str, "%s")
    try:
        formatted(template, "")
    except EvaluationError as error:
        raise ConditionError(str(error)) from None
    if name is None:
        return lambda text: text
    function = as_function(name, scope)
    return lambda text: formatted(template, _as_text(function(text)))


def _replacing(given: Given, through: Callable[[str], str]) -> Callable[[str, Any, Any], str]:
    """Return a function that replaces what matches a pattern in a text."""
    function = None if "function" not in given else lambda raw: through(raw.decode("utf-8", "replace")).encode()

    def replace_in(text: str, pattern: Any, replacement: Any) -> str:
        return replaced(pattern_of(pattern), text, template_of(_as_text(replacement)), function)

    return replace_in


def _replace_pattern(scope: Scope, target: Target, given: Given) -> Edit:
    change = _replacing(given, _through(scope, given))

    def function(old: Any, pattern: Any, replacement: Any) -> Any:
        if not isinstance(old, str):
            return UNCHANGED
        new = change(old, pattern, replacement)
        return UNCHANGED if new is old else new

    return Edit(target, function, (_pattern(given["regex"]), given["replacement"]))


def _replace_all_patterns(scope: Scope, target: Target, given: Given) -> Edit:
    change, mode = _replacing(given, _through(scope, given)), fixed(given, "mode", str)
    if mode not in {"key", "value"}:
        msg = f"mode is key or value, not {mode!r}"
        raise ConditionError(msg)

    def of_values(old: Any, pattern: Any, replacement: Any) -> Any:
        return maps.with_text(maps.map_of(old), lambda text: change(text, pattern, replacement))

    def of_keys(old: Any, pattern: Any, replacement: Any) -> Any:
        return {change(key, pattern, replacement): value for key, value in maps.map_of(old).items()}

    function = of_values if mode == "value" else of_keys
    return Edit(target, function, (_pattern(given["regex"]), given["replacement"]))


def _glob(expression: Expression) -> Expression:
    if expression.constant:
        if not isinstance(expression.constant[0], str):
            raise ConditionError("a pattern is a string")
        compile_glob(expression.constant[0])
    return expression


def _matches(pattern: Any, text: str) -> bool:
    try:
        return compile_glob(_as_text(pattern))(text)
    except ConditionError:
        msg = "the pattern is no glob"
        raise EvaluationError(msg) from None


def _replace_match(scope: Scope, target: Target, given: Given) -> Edit:
    through = _through(scope, given)

    def function(old: Any, pattern: Any, replacement: Any) -> Any:
        return through(_as_text(replacement)) if isinstance(old, str) and _matches(pattern, old) else UNCHANGED

    return Edit(target, function, (_glob(given["pattern"]), given["replacement"]))


def _replace_all_matches(scope: Scope, target: Target, given: Given) -> Edit:
    through = _through(scope, given)

    def function(old: Any, pattern: Any, replacement: Any) -> Any:
        new = through(_as_text(replacement))
        return maps.with_text(maps.map_of(old), lambda text: new if _matches(pattern, text) else text)

    return Edit(target, function, (_glob(given["pattern"]), given["replacement"]))


@dataclass(frozen=True, slots=True)
class Editor:
    """An editor: its parameters, of which the first is the target, and how a call becomes an edit."""

    signature: Function
    build: Build


def _table(entries: Mapping[str, tuple[tuple[str, ...], Build]]) -> dict[str, Editor]:
    return {
        name: Editor(Function(name, ("target", *parameters), _no_value), build)
        for name, (parameters, build) in entries.items()
    }


def _no_value(scope: Scope, given: Any) -> Expression:
    raise ConditionError("an editor has no value")


_REPLACEMENT = ("replacement", "function?", "replacementFormat?")

EDITORS: dict[str, Editor] = _table(
    {
        "set": (("value",), _set),
        "delete_key": (("key",), _delete_key),
        "delete_matching_keys": (("pattern",), _matching(wanted=False)),
        "keep_matching_keys": (("pattern",), _matching(wanted=True)),
        "keep_keys": (("keys*",), _keep_keys),
        "limit": (("limit", "priority_keys*"), _limit),
        "truncate_all": (("limit", "utf8_safe?", "truncation_marker?"), _truncate_all),
        "flatten": (("prefix?", "depth?", "resolveConflicts?"), _flatten),
        "merge_maps": (("source", "strategy"), _merge_maps),
        "append": (("value?", "values*?"), _append),
        "delete_index": (("startIndex", "endIndex?"), _delete_index),
        "stringify_all": ((), _stringify_all),
        "replace_pattern": (("regex", *_REPLACEMENT), _replace_pattern),
        "replace_all_patterns": (("mode", "regex", *_REPLACEMENT), _replace_all_patterns),
        "replace_match": (("pattern", *_REPLACEMENT), _replace_match),
        "replace_all_matches": (("pattern", *_REPLACEMENT), _replace_all_matches),
    }
)
"""All editors that work on one target, by name."""
