"""Option tables for README files, from the classes and docstrings of the configuration.

``python -m untrace_pipeline.config.document`` rewrites what stands between ``<!-- options -->`` and
``<!-- /options -->`` in the README of every first-party component, and after ``<!-- options: module:Class -->`` in
pages of ``docs``; ``--check`` only says which are out of date.
"""

from __future__ import annotations

import enum
import inspect
import re
import sys
import types
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from untrace_pipeline.api.config import Duration, Secret, Size, format_duration
from untrace_pipeline.config.options import arms, deprecation, element, model_of
from untrace_pipeline.registry import Registry

__all__ = ["main", "meaning_of", "options_table"]

_BEGIN, _END = "<!-- options -->", "<!-- /options -->"
_NAMED = re.compile(r"<!-- options: ([\w.]+):(\w+) -->")
_DOCS = Path(__file__).resolve().parents[2] / "docs"
_PACKAGE = "untrace-pipeline"
_NAMES = {
    datetime: "time",
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    Any: "any",
}
_KIB = 1024


def options_table(config: type[BaseModel]) -> str:
    """Return a markdown table of all options, nested ones by dotted path; lists of mappings as ``table[].key``."""
    rows = list(_rows(config, "", {}))
    if not rows:
        return "No options."
    head = ["| option | type | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join(head + [f"| `{path}` | {type_} | {default} | {text} |" for path, type_, default, text in rows])


def _rows(
    model: type[BaseModel], prefix: str, shown: dict[type[BaseModel], str], defaults: BaseModel | None = None
) -> Iterator[tuple[str, str, str, str]]:
    """Yield path, type, default and meaning.

    ``defaults`` is what the option above has where nothing is written. ``shown`` tells where the options of a class
    stand already: they are not repeated, unless they have defaults of their own.
    """
    for field, option in model.model_fields.items():
        path = f"{prefix}{option.alias or field}"
        default = getattr(defaults, field) if defaults is not None else _unset(option)
        below, suffix = _below(option.annotation)
        nested = default if isinstance(default, BaseModel) else None
        known = shown.get(below) if below is not None and nested is None else None
        meaning = meaning_of(option) + (f" Options as in `{known}`." if known else "")
        yield path, _type(_declared(option)), _default(option, default), meaning
        if below is not None and not known:
            shown.setdefault(below, f"{path}{suffix}")
            yield from _rows(below, f"{path}{suffix}.", shown, nested)


def _unset(option: FieldInfo) -> Any:
    return option.get_default(call_default_factory=True, validated_data={})


def _below(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """Return the class of nested options, and how its path goes on: directly, in a list, or under any key."""
    found = arms(annotation)
    if model_of(found) is not None:
        return model_of(found), ""
    for kind, suffix in ((list, "[]"), (dict, ".*")):
        for one in found:
            inner = element(one, kind)
            model = model_of(arms(inner)) if inner is not None else None
            if model is not None:
                return model, suffix
    return None, ""


def _declared(option: FieldInfo) -> Any:
    """Return the annotation with its metadata, which pydantic keeps apart."""
    annotation: Any = option.annotation
    for metadata in option.metadata:
        annotation = Annotated[annotation, metadata]
    return annotation


def _is(annotation: Any, known: Any) -> bool:
    """Tell whether an annotation carries the validator of ``Duration`` or ``Size``."""
    validator = get_args(known)[1]
    return get_origin(annotation) is Annotated and any(one is validator for one in get_args(annotation)[1:])


def _type(annotation: Any) -> str:
    if _is(annotation, Duration):
        return "duration"
    if _is(annotation, Size):
        return "size"
    origin, given = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(given[0])
    if origin in {Union, types.UnionType}:
        return " or ".join(dict.fromkeys(_type(one) for one in given if one is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{_yaml(one)}`" for one in given)
    return _container(annotation) or _plain(annotation)


def _container(annotation: Any) -> str:
    value = element(annotation, dict)
    if value is not None:
        return f"map of {_type(value)}"
    item = element(annotation, list)
    return f"list of {_type(item)}" if item is not None else ""


def _plain(annotation: Any) -> str:
    if inspect.isclass(annotation):
        if issubclass(annotation, enum.Enum):
            return ", ".join(f"`{_yaml(one)}`" for one in annotation)
        if issubclass(annotation, Secret):
            return "string (secret)"
        if issubclass(annotation, BaseModel):
            return "mapping"
    return _NAMES.get(annotation, "any")


def _default(option: FieldInfo, value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "-"
    if isinstance(value, BaseModel):
        return "see below"
    declared = _declared(option)
    if _carries(declared, Duration):
        return f"`{format_duration(value)}`"
    if _carries(declared, Size):
        return f"`{_size(value)}`"
    return f"`{_yaml(value)}`"


def _carries(annotation: Any, known: Any) -> bool:
    if _is(annotation, known):
        return True
    inner = get_args(annotation) if get_origin(annotation) in {Annotated, Union, types.UnionType} else ()
    return any(_carries(one, known) for one in inner)


def _size(value: int) -> str:
    for unit, power in (("GiB", 3), ("MiB", 2), ("KiB", 1)):
        if value and value % _KIB**power == 0:
            return f"{value // _KIB**power}{unit}"
    return str(value)


def _yaml(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return _yaml(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(_yaml(one) for one in value) + "]"
    return str(value) if str(value) else '""'


def meaning_of(option: FieldInfo) -> str:
    """Return what an option means, on one line of Markdown."""
    text = " ".join((option.description or "").replace("``", "`").split()).replace("|", "\\|")
    successor = deprecation(option)
    return text if successor is None else f"**Deprecated**{f': {successor}' if successor else ''}. {text}"


def main(arguments: list[str]) -> int:
    """Rewrite or check the README files; returns 1 if one is missing, or with ``--check`` out of date."""
    only_check = "--check" in arguments
    failed = False
    for path, begin, config in (*_readmes(), *_pages()):
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        new = _with_table(old, begin, config)
        if new is None:
            sys.stdout.write(f"no page with {_BEGIN} and {_END}: {path}\n")
            failed = True
        elif new != old:
            if not only_check:
                path.write_text(new, encoding="utf-8")
            sys.stdout.write(f"{'out of date' if only_check else 'written'}: {path}\n")
            failed = failed or only_check
    return 1 if failed else 0


def _pages() -> Iterator[tuple[Path, str, type[BaseModel]]]:
    """Yield pages that name a class whose options they show."""
    for path in sorted(_DOCS.glob("*.md")):
        for found in _NAMED.finditer(path.read_text(encoding="utf-8")):
            yield path, found[0], getattr(import_module(found[1]), found[2])


def _readmes() -> Iterator[tuple[Path, str, type[BaseModel]]]:
    """Yield README files of first-party components; those that are made of presets have pages of their own."""
    registry = Registry()
    for one in registry.installed():
        own = one.package == _PACKAGE and not one.is_preset
        factory = registry.load(one.kind, one.type_name) if own else None
        if factory is not None and one.type_name == factory.type_name:
            yield Path(inspect.getfile(factory.config)).parent / "README.md", _BEGIN, factory.config


def _with_table(text: str, mark: str, config: type[BaseModel]) -> str | None:
    """Return a page with its table renewed, or ``None`` if it has no place for one."""
    before, begin, rest = text.partition(mark)
    _, end, after = rest.partition(_END)
    return f"{before}{begin}\n{options_table(config)}\n{_END}{after}" if begin and end else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
