"""Options of the attributes processor, and the actions that the resource processor shares."""

from __future__ import annotations

import enum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel
from untrace_pipeline.conditions import MatchProperties
from untrace_pipeline.conditions.patterns import compile_pattern

__all__ = ["Action", "ActionConfig", "AttributesConfig", "TargetType"]


class Action(enum.StrEnum):
    """What is done with an attribute."""

    INSERT = "insert"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"
    HASH = "hash"
    EXTRACT = "extract"
    CONVERT = "convert"


class TargetType(enum.StrEnum):
    """Type that ``convert`` makes."""

    STRING = "string"
    INT = "int"
    DOUBLE = "double"


_WRITING = frozenset({Action.INSERT, Action.UPDATE, Action.UPSERT})
_SOURCES = ("value", "from_attribute", "from_context")
# Which further options an action takes.
_OPTIONS = {
    **{action: {*_SOURCES, "default_value"} for action in _WRITING},
    Action.DELETE: {"pattern"},
    Action.HASH: {"pattern"},
    Action.EXTRACT: {"pattern"},
    Action.CONVERT: {"converted_type"},
}
_INT64 = range(-(1 << 63), 1 << 63)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _attribute_value(value: object) -> object:
    """Refuse what OTLP has no value for."""
    if isinstance(value, list):
        return [_attribute_value(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _attribute_value(one) for key, one in value.items()}
    fits = value in _INT64 if isinstance(value, int) else value is None or isinstance(value, str | float)
    if fits:
        return value
    msg = f"{value!r} is no value that an attribute can have"
    raise ValueError(msg)


class ActionConfig(ConfigModel):
    """One edit of one attribute; actions run in order, each on the result of those before it."""

    action: Annotated[Action, BeforeValidator(_lower)]
    """``insert`` where the key is absent, ``update`` where it is present, ``upsert`` everywhere, ``delete``, ``hash``
    (SHA-256 in hexadecimal), ``extract`` (named groups of ``pattern`` become attributes), ``convert``."""
    key: str = ""
    """The attribute; needed except where ``delete`` and ``hash`` have a ``pattern``."""
    value: Annotated[Any, BeforeValidator(_attribute_value)] = None
    """What ``insert``, ``update`` and ``upsert`` write; keeps its YAML type."""
    from_attribute: str = ""
    """Write the value of this attribute instead; where it is absent, nothing happens."""
    from_context: str = ""
    """Write a value of the request instead: ``metadata.<header>`` (several are joined with ``;``),
    ``auth.<attribute>``, ``client.address``. Headers need ``include_metadata: true`` on the receiver."""
    default_value: Annotated[Any, BeforeValidator(_attribute_value)] = None
    """Written where ``from_attribute`` or ``from_context`` gives nothing."""
    pattern: str = ""
    """RE2. ``extract``: groups, all named, found in the value of ``key``. ``delete`` and ``hash``: found in the keys
    that are meant."""
    converted_type: TargetType | None = None
    """Target of ``convert``: ``string``, ``int`` or ``double``; what cannot be converted stays as it is."""

    @model_validator(mode="after")
    def _fits_its_action(self) -> ActionConfig:
        given = {name for name in (*_SOURCES, "default_value", "pattern", "converted_type") if self._has(name)}
        foreign = sorted(given - _OPTIONS[self.action])
        if foreign:
            msg = f"{self.action} does not take {', '.join(foreign)}"
            raise ValueError(msg)
        if not self.key and not (self.pattern and self.action in {Action.DELETE, Action.HASH}):
            msg = f"{self.action} needs a key{' or a pattern' if 'pattern' in _OPTIONS[self.action] else ''}"
            raise ValueError(msg)
        if self.action in _WRITING:
            self._check_sources(given)
        if self.action is Action.CONVERT and self.converted_type is None:
            msg = "convert needs converted_type: string, int or double"
            raise ValueError(msg)
        self._check_pattern()
        return self

    def _has(self, name: str) -> bool:
        return getattr(self, name) not in (None, "") or (name == "value" and self.value == "")

    def _check_sources(self, given: set[str]) -> None:
        sources = given & set(_SOURCES)
        if not given or len(sources) > 1:
            msg = f"{self.action} needs one of value, from_attribute, from_context (and default_value, if you like)"
            raise ValueError(msg)

    def _check_pattern(self) -> None:
        if self.action is Action.EXTRACT and not self.pattern:
            msg = "extract needs a pattern"
            raise ValueError(msg)
        if not self.pattern:
            return
        compiled = compile_pattern(self.pattern)
        if self.action is Action.EXTRACT and (not compiled.groups or len(compiled.groupindex) != compiled.groups):
            msg = "every group of the pattern needs a name, and there must be one: (?P<name>…)"
            raise ValueError(msg)


class AttributesConfig(ComponentConfig):
    """Edits attributes of the items that ``include`` and ``exclude`` leave."""

    actions: list[ActionConfig] = Field(min_length=1)
    """What is done, in order."""
    include: MatchProperties | None = None
    """Only items that match are edited."""
    exclude: MatchProperties | None = None
    """Items that match are left alone, even if included."""
