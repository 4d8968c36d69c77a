"""Conditions as they stand in YAML: a mapping of our own form, or a string of OTTL."""

from __future__ import annotations

import enum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from untrace_pipeline.api.config import ConfigModel
from untrace_pipeline.data import Level, Signal

__all__ = ["ConditionConfig", "ConditionSource", "ErrorMode", "Operator", "checked"]


class ErrorMode(enum.StrEnum):
    """What happens where a condition or statement has no answer: an index out of bounds, a division by zero …"""

    IGNORE = "ignore"
    SILENT = "silent"
    PROPAGATE = "propagate"


class Operator(enum.StrEnum):
    """What is asked of a field."""

    EQ = "eq"
    NEQ = "neq"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    CONTAINS = "contains"
    REGEX = "regex"
    EXISTS = "exists"
    IN = "in"


class ConditionConfig(ConfigModel):
    """One question about a field, or ``all``, ``any`` or ``not`` over further conditions. Exactly one of the four."""

    field: str | None = None
    """Path of what is looked at: ``attributes["gen_ai.request.model"]`` (or ``attributes.gen_ai.request.model``),
    ``resource.attributes["service.name"]``, ``name``, ``status.code``, ``duration_nanos``, ``request["X-Tenant"]``,
    ``client.address``, ``auth.subject``; or any JSONPath: ``$.attributes.*``. Where a path gives several values, any
    of them may satisfy the condition."""
    operator: Operator | None = None
    """``eq``, ``neq`` (not eq), ``gt``, ``gte``, ``lt``, ``lte``; ``contains`` (part of a string, element of a list,
    key of a map); ``regex`` (RE2, found anywhere); ``exists`` (``value: false`` turns it round); ``in`` (a list)."""
    value: Any = None
    """What the field is compared with; ``null`` equals an absent field. Numbers compare with numbers, strings with
    strings. Kinds, status codes and severities may be given by name (``ERROR``), ids in hexadecimal."""
    all: list[str | ConditionConfig] | None = Field(None, min_length=1)
    """True if every one of these is; OTTL strings are welcome among them."""
    any: list[str | ConditionConfig] | None = Field(None, min_length=1)
    """True if one of these is."""
    not_: str | ConditionConfig | None = Field(None, alias="not")
    """True if this is not."""

    @model_validator(mode="after")
    def _one_form(self) -> ConditionConfig:
        forms = [name for name in ("field", "all", "any", "not_") if getattr(self, name) is not None]
        if len(forms) != 1:
            msg = "exactly one of field, all, any and not is needed"
            raise ValueError(msg)
        if (self.field is None) != (self.operator is None):
            msg = "field and operator belong together"
            raise ValueError(msg)
        if self.field is None and "value" in self.model_fields_set:
            msg = "value belongs to a field and its operator"
            raise ValueError(msg)
        return self


ConditionSource = str | ConditionConfig
"""OTTL as a string, or our own form as a mapping."""


def checked(signal: Signal, level: Level) -> Any:
    """Return the type of an option that holds a condition over a level of a signal; it is compiled when checked."""

    def check(source: ConditionSource) -> ConditionSource:
        from untrace_pipeline.conditions.condition import compile_condition  # noqa: PLC0415  both import each other

        compile_condition(source, signal, level)
        return source

    return Annotated[ConditionSource, AfterValidator(check)]
