"""From operations to edits of columns: the same that statements are made of."""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any

import orjson

from untrace_pipeline.conditions import Expression, compile_form
from untrace_pipeline.conditions.expression import Kind, apply, constant
from untrace_pipeline.conditions.json_paths import json_finder
from untrace_pipeline.conditions.locators import locate
from untrace_pipeline.conditions.paths import CACHE
from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import ATTRIBUTES, Field, Level, Signal, Value
from untrace_pipeline.errors import ConditionError, EvaluationError
from untrace_pipeline.statements import UNCHANGED, Edit, Step, Target, assignment, locate_target, maps
from untrace_plugins.processors.transform.operations import (
    CopyConfig,
    DeleteConfig,
    HashConfig,
    KeepConfig,
    LookupConfig,
    MapConfig,
    OperationConfig,
    ParseJsonConfig,
    RenameConfig,
    SetConfig,
    TemplateConfig,
    TruncateConfig,
)
from untrace_plugins.processors.transform.table import Table

__all__ = ["compile_operation"]

Edits = tuple[Edit, ...]


def compile_operation(operation: OperationConfig, place: int, signal: Signal, table: Table | None = None) -> Step:
    """Compile an operation for the items of a signal. Raises :class:`ConditionError`.

    ``place`` is where it stands in its list; ``table`` is that of a lookup.
    """
    where = None if operation.where is None else compile_form(operation.where, signal, Level.ITEM)
    options: Any = operation.chosen
    edits = _lookup(options, signal, table or Table(options)) if isinstance(options, LookupConfig) else None
    if edits is None:
        edits = _BUILDERS[type(options)](options, signal)
    return Step(edits, where, f"operations[{place}] {operation.name}")


def _read(path: str, signal: Signal) -> Expression:
    """Return what a path reads: one value, or the list of all that a JSONPath finds."""
    expression = locate(path, signal, Level.ITEM).expression
    if expression.kind is not Kind.MANY:
        return expression
    return apply(_one_or_all, (expression,), safe=True)


def _one_or_all(found: Any) -> Value:
    values = list(found)
    return values if len(values) > 1 else values[0] if values else None


def _target(path: str, signal: Signal) -> Target:
    return locate_target(path, signal, Level.ITEM)


def _removal(target: Target) -> Edit:
    return Edit(target, lambda: None, modifies=False)


# ------------------------------------------------------------------- plain edits


def _set(options: SetConfig, signal: Signal) -> Edits:
    return (assignment(_target(options.field, signal), constant(options.value)),)


def _copy(options: CopyConfig, signal: Signal) -> Edits:
    return (assignment(_target(options.to, signal), _read(options.source, signal)),)


def _rename(options: RenameConfig, signal: Signal) -> Edits:
    source = _target(options.source, signal)
    return (assignment(_target(options.to, signal), source.read), _removal(source))


def _delete(options: DeleteConfig, signal: Signal) -> Edits:
    if options.field:
        return (_removal(_target(options.field, signal)),)
    search = compile_pattern(options.pattern).search
    target = _target(ATTRIBUTES, signal)
    return (Edit(target, lambda old: maps.keep_where(old or {}, lambda key: search(key) is None), sound=True),)


def _keep(options: KeepConfig, signal: Signal) -> Edits:
    keys = frozenset(options.keys)
    target = _target(options.map, signal)
    return (
        Edit(target, lambda old: UNCHANGED if old is None else maps.keep_where(old, keys.__contains__), sound=True),
    )


def _truncate(options: TruncateConfig, signal: Signal) -> Edits:
    size, marker = options.limit, options.marker

    def cut(old: Any) -> Any:
        if isinstance(old, dict):
            return maps.truncate(old, size, marker)
        return maps.truncated(old, size, marker) if isinstance(old, str) else UNCHANGED

    return (Edit(_target(options.field, signal), cut, sound=True),)


def _hash(options: HashConfig, signal: Signal) -> Edits:
    name = options.algorithm.value
    key = options.key.reveal().encode() if options.key else None

    def hashed(old: Any) -> Any:
        if old is None:
            return UNCHANGED
        raw = as_string(old).encode("utf-8", "surrogatepass")
        if key is not None:
            return hmac.new(key, raw, name).hexdigest()
        return hashlib.new(name, raw, usedforsecurity=False).hexdigest()

    return (Edit(_target(options.field, signal), hashed),)


# --------------------------------------------------------------------- template

_PART = re.compile(r"\{\{|\}\}|\{(?P<path>[^{}]*(?:\[[^\]]*\][^{}]*)*)\}|(?P<stray>[{}])")


def _template(options: TemplateConfig, signal: Signal) -> Edits:
    texts, sources, end = [""], list[Expression](), 0
    for found in _PART.finditer(options.template):
        texts[-1] += options.template[end : found.start()]
        end = found.end()
        if found["stray"]:
            msg = f"the brace at {found.start()} is not closed, or not opened; a brace itself is written {{{{ or }}}}"
            raise ConditionError(msg)
        if found["path"] is None:
            texts[-1] += found[0][0]
        else:
            sources.append(_read(found["path"].strip(), signal))
            texts.append("")
    texts[-1] += options.template[end:]

    def fill(*values: Any) -> str:
        pieces = [texts[0]]
        for value, text in zip(values, texts[1:], strict=True):
            pieces += ("" if value is None else as_string(value), text)
        return "".join(pieces)

    value = apply(fill, sources, safe=True) if sources else constant(texts[0])
    return (assignment(_target(options.to, signal), value),)


# ------------------------------------------------------------------------- JSON


def _parsed(value: Any) -> Any:
    """Return what a text holds as JSON; whole numbers stay whole."""
    if value is None:
        return UNCHANGED
    if not isinstance(value, str):
        msg = f"a text is needed, not {type(value).__name__}"
        raise EvaluationError(msg)
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        msg = "this is no JSON"
        raise EvaluationError(msg) from None
    return UNCHANGED if found is None else found


def _parse_json(options: ParseJsonConfig, signal: Signal) -> Edits:
    source = _read(options.source, signal)
    if options.prefix is None:
        return (Edit(_target(options.to or options.source, signal), _parsed, (source,), modifies=False),)
    prefix = options.prefix

    def spread(attributes: Any, value: Any) -> Any:
        found = _parsed(value)
        if found is UNCHANGED:
            return UNCHANGED
        return {**(attributes or {}), **{f"{prefix}{key}": one for key, one in maps.map_of(found).items()}}

    return (Edit(_target(ATTRIBUTES, signal), spread, (source,)),)


def _map(options: MapConfig, signal: Signal) -> Edits:
    if not options.source:
        pairs = [(_target(field, signal), _read(path, signal)) for path, field in options.mappings.items()]
        return tuple(assignment(target, source) for target, source in pairs)
    # Parsed once, kept in the notes of the row, and looked into by each mapping.
    notes = Field(Level.ITEM, CACHE, f"json of {options.source}")
    note = Expression(lambda frame: frame.columns[notes], frozenset({notes}))
    read = Target(note, notes, _itself)
    parse = Edit(read, _document, (_read(options.source, signal),), modifies=False, sound=True)
    finds = [(_target(field, signal), _found(json_finder(path))) for path, field in options.mappings.items()]
    return (parse, *(assignment(target, apply(find, (note,), safe=True)) for target, find in finds))


def _itself(value: Any) -> Any:
    return value


def _document(value: Any) -> Any:
    """Return what is looked into; ``None`` removes the note of an operation before this one."""
    found = value if isinstance(value, dict | list) else _parsed(value)
    return None if found is UNCHANGED else found


def _found(find: Callable[[Any], list[Value]]) -> Callable[[Any], Value]:
    return lambda document: None if document is None else _one_or_all(find(document))


# ----------------------------------------------------------------------- lookup


def _lookup(options: LookupConfig, signal: Signal, table: Table) -> Edits:
    key = _read(options.key, signal)

    def build(field: str, column: str) -> Edit:
        target = _target(field, signal)
        cell = apply(functools.partial(table.cell, column), (key,), safe=True)
        if options.overwrite:
            return assignment(target, cell)
        return Edit(target, lambda old, new: UNCHANGED if new is None or old is not None else new, (cell,))

    return tuple(build(field, column) for field, column in options.fields.items())


_BUILDERS: dict[type, Callable[[Any, Signal], Edits]] = {
    SetConfig: _set,
    CopyConfig: _copy,
    RenameConfig: _rename,
    DeleteConfig: _delete,
    KeepConfig: _keep,
    TruncateConfig: _truncate,
    HashConfig: _hash,
    TemplateConfig: _template,
    ParseJsonConfig: _parse_json,
    MapConfig: _map,
}
