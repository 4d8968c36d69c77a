"""Looks into configuration classes: which option is what, where secrets are, what is deprecated."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from untrace_pipeline.api.config import Secret
from untrace_pipeline.config.diagnostics import Path
from untrace_pipeline.config.nodes import List, Map, Node

__all__ = ["Seen", "arms", "deprecation", "element", "model_of", "options_of", "other_names", "visit"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One value of a tree with the types that its option may have."""

    path: Path
    node: Node
    types: tuple[Any, ...]
    option: FieldInfo | None

    @property
    def secret(self) -> bool:
        """Whether the value must not be shown."""
        return any(isinstance(one, type) and issubclass(one, Secret) for one in self.types)


def arms(annotation: Any) -> tuple[Any, ...]:
    """Return the alternatives of an annotation, without ``Annotated`` and unions around them."""
    origin = get_origin(annotation)
    if hasattr(annotation, "__value__"):  # type X = …
        return arms(annotation.__value__)
    if origin is Annotated:
        return arms(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return tuple(arm for one in get_args(annotation) for arm in arms(one))
    return (annotation,)


def model_of(types_: Sequence[Any]) -> type[BaseModel] | None:
    """Return the alternative that is a mapping with options, if there is one."""
    return next((one for one in types_ if isinstance(one, type) and issubclass(one, BaseModel)), None)


def options_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the options of a model by the name that users write."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def deprecation(option: FieldInfo) -> str | None:
    """Return what to use instead of an option, or ``None`` if it is not deprecated."""
    extra = option.json_schema_extra
    noted = extra.get("deprecated") if isinstance(extra, dict) else None
    found = noted or option.deprecation_message or option.deprecated
    return None if not found else found if isinstance(found, str) else ""


def other_names(option: FieldInfo) -> tuple[str, ...]:
    """Return what others call an option (``also_called`` of its extras): no aliases, but hints for who writes them."""
    extra = option.json_schema_extra
    noted = extra.get("also_called") if isinstance(extra, dict) else None
    return tuple(map(str, noted)) if isinstance(noted, list) else ()


def element(one: Any, kind: type) -> Any:
    """Return the type of the values of a ``dict`` or the items of a ``list``, ``None`` if it is no such type."""
    origin, given = get_origin(one), get_args(one)
    if kind is dict and isinstance(origin, type) and issubclass(origin, Mapping):
        return given[1]
    if kind is list and isinstance(origin, type) and issubclass(origin, Sequence | AbstractSet):
        return given[0]
    return None


def visit(annotation: Any, node: Node, path: Path = (), option: FieldInfo | None = None) -> Iterator[Seen]:
    """Yield a value and everything below it that the types know."""
    found = arms(annotation)
    yield Seen(path, node, found, option)
    if isinstance(node, Map):
        model = model_of(found)
        options = options_of(model) if model else {}
        values = next((value for one in found if (value := element(one, dict)) is not None), Any)
        for name, (_, value) in node.entries.items():
            below = options.get(name)
            if below is not None:
                yield from visit(below.annotation, value, (*path, name), below)
            elif not model:
                yield from visit(values, value, (*path, name))
    elif isinstance(node, List):
        items = next((item for one in found if (item := element(one, list)) is not None), Any)
        for number, item in enumerate(node.items):
            yield from visit(items, item, (*path, number))
