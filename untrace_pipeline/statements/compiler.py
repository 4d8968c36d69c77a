"""From the text of a statement to an edit under a condition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from untrace_pipeline.conditions.names import CONTEXTS, suggestion
from untrace_pipeline.conditions.ottl import compile_tree, compile_value, elements, named_level, paths_of, single
from untrace_pipeline.conditions.paths import Scope
from untrace_pipeline.conditions.syntax import parse_condition, parse_statement
from untrace_pipeline.conditions.tree import Call, Enumerator, Node, Path, Statement
from untrace_pipeline.data import Level, Signal
from untrace_pipeline.errors import ConditionError
from untrace_pipeline.statements.edit import Edit, Reshape, Step
from untrace_pipeline.statements.editors import EDITORS
from untrace_pipeline.statements.metrics import METRIC_EDITORS
from untrace_pipeline.statements.targets import compile_target

__all__ = ["compile_statement", "statement_level", "written_level"]

_VARYING = re.compile(r"\b(?:Now|UUID|UUIDv7)\s*\(")
"""Functions that give something else every time; found in a string literal too, which costs speed and nothing else."""


def compile_statement(text: str, signal: Signal, level: Level) -> Step:
    """Compile a statement for the rows of a level. Raises :class:`ConditionError`, which points into the text."""
    scope = Scope(signal, level, text, cache=True)
    tree = parse_statement(text)
    where = compile_tree(tree.where, scope) if tree.where is not None else None
    if where is not None and where.constant == (True,):
        where = None
    if tree.editor.name in METRIC_EDITORS and signal is Signal.METRICS:
        return Step((), where, text, _reshape(tree.editor, scope))
    return Step((_edit(tree.editor, scope),), where, text)


def statement_level(statements: Sequence[str], conditions: Sequence[str], context: str, signal: Signal) -> Level:
    """Return the level of statements that stand together: that of their context, or of the innermost one they name.

    Raises :class:`ConditionError` for a context that the signal does not have, and where paths leave it out and
    nothing says which it is.
    """
    if context:
        return _known_level(context, signal)
    if signal is Signal.METRICS and any(parse_statement(text).editor.name in METRIC_EDITORS for text in statements):
        return Level.METRIC
    paths = [(text, path) for text in statements for path in _paths(parse_statement(text))]
    paths += [(text, path) for text in conditions for path in paths_of(parse_condition(text))]
    return named_level(paths, signal)


def _known_level(context: str, signal: Signal) -> Level:
    known = {name: level for name, (level, only) in CONTEXTS.items() if only in {None, signal}}
    if context.lower() not in known:
        msg = f"{context!r} is no context of {signal}; there are: {', '.join(known)}"
        raise ConditionError(msg)
    return known[context.lower()]


def written_level(text: str, signal: Signal, level: Level) -> Level:
    """Return the level at which a statement can stand that is written for ``level``: that of its target.

    It is ``level`` itself if something further inside, or a function of the clock or of chance, is looked at.
    """
    tree = parse_statement(text)
    scope = Scope(signal, level, text, cache=True)
    paths = _paths(tree)
    if not paths or any(len(path.segments) == 1 for path in paths):
        return level
    levels = [scope.context_of(path)[1] for path in paths if path.segments[0].name not in {"request", "otelcol"}]
    target = tree.editor.arguments[0][1] if tree.editor.arguments else None
    own = scope.context_of(target)[1] if isinstance(target, Path) else level
    return own if max(levels, default=level) <= own and not _VARYING.search(text) else level


def _paths(tree: Statement) -> list[Path]:
    return paths_of(tree.editor) + (paths_of(tree.where) if tree.where is not None else [])


def _edit(call: Call, scope: Scope) -> Edit:
    editor = EDITORS.get(call.name)
    if editor is None:
        word = "editor; editors begin with a small letter" if call.name[0].isupper() else "editor"
        raise scope.fail(f"{call.name} is no known {word}{suggestion(call.name, [*EDITORS, *METRIC_EDITORS])}", 0)
    if call.keys:
        raise scope.fail("an editor has no value that could be indexed", call.position)
    try:
        places = editor.signature.bind([name for name, _ in call.arguments])
        named = dict(zip([place for place, _ in places], [node for _, node in call.arguments], strict=True))
        target = compile_target(named["target"], scope)
        given = {place: _argument(place, named[place], scope, listed) for place, listed in places if place != "target"}
        return editor.build(scope, target, given)
    except ConditionError as error:
        raise error if error.position is not None else scope.fail(str(error), call.position) from None


def _reshape(call: Call, scope: Scope) -> Reshape:
    if scope.level is not Level.METRIC:
        msg = f"{call.name} works on metrics: it needs a group of its own, without paths of data points"
        raise scope.fail(msg, 0)
    editor = METRIC_EDITORS[call.name]
    try:
        places = editor.signature.bind([name for name, _ in call.arguments])
        nodes = [node for _, node in call.arguments]
        given = {
            place: _argument(place, node, scope, listed) for (place, listed), node in zip(places, nodes, strict=True)
        }
        return editor.build(given)
    except ConditionError as error:
        raise error if error.position is not None else scope.fail(str(error), call.position) from None


def _argument(place: str, node: Node, scope: Scope, listed: bool) -> Any:
    if place == "function":
        if isinstance(node, Enumerator):
            return node.name
        raise scope.fail("the bare name of a function is needed here, such as SHA256", node.position)
    return elements(node, scope) if listed else single(compile_value(node, scope))
