"""Configuration classes and the types of their options.

Every option has one type, a default where one makes sense, bounds, and a docstring: meaning, unit, example. Docstrings
become the JSON Schema, the option tables of the documentation and the editor's help.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from untrace_pipeline.api.acknowledgement import Acceptance, Upstream
from untrace_pipeline.api.surroundings import Remark, Surroundings
from untrace_pipeline.data.signal import Signal

__all__ = ["ComponentConfig", "ConfigModel", "Duration", "Secret", "Size", "format_duration"]


class ConfigModel(BaseModel):
    """Base of every part of the configuration: immutable, strict about unknown options."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        defer_build=True,
        arbitrary_types_allowed=False,
        hide_input_in_errors=True,
        validate_default=False,
    )


class ComponentConfig(ConfigModel):
    """Base of a component's configuration: the mapping under its id."""

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return ids of extensions and pipelines that the options name, by option path, for validation.

        Keys are dotted paths of options; values the ids found there. Pipelines are recognised by their signal prefix
        in connectors, everything else names an extension.
        """
        return {}

    def addresses(self) -> Iterable[str]:
        """Return the URLs that data goes to although no option names them, for ``validate --environment``."""
        return ()

    def unshared(self) -> Mapping[str, str]:
        """Return what several worker processes cannot have in common, by dotted option path: why.

        Such an option must hold ``${env:UNTRACE_PIPELINE_WORKER}`` where there are several. Example:
        ``{"path": "each worker would write over what the others wrote"}``.
        """
        return {}

    def excludes(self) -> Mapping[Signal, str]:
        """Return the signals for which the component can do nothing with these options, and why, for validation."""
        return {}

    def upstream(self) -> Upstream:
        """Return, for a receiver, what its senders keep until it acknowledges; for validation."""
        return Upstream()

    def review(self, surroundings: Surroundings) -> Iterable[Remark]:
        """Return what ``validate`` should say of these options, given what is around the component.

        Called once all options of the configuration are right. It may read files that the options name, nothing else.
        """
        return ()

    def unseal(self, text: str) -> str:
        """Return a text with everything readable again that a component with these options has encrypted.

        For ``untrace-pipeline decrypt``: the text is a document, a line or a value; if it is JSON it stays JSON. Raises
        :class:`StartError` for a key that cannot be read, and ``ImportError`` where the library is missing.
        """
        return text

    def acceptance(self) -> Acceptance | None:
        """Return, for an exporter, or a processor that holds items, what accepted means with these options.

        ``None`` for an exporter that never refuses, and for all other components.
        """
        return None


_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_ROUNDING = 1e-9
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def _parse_duration(value: object) -> float:
    text = str(value).strip()
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text.lstrip("+-")
    parts = list(_DURATION.finditer(rest))
    if rest == "0":
        return 0.0
    if not parts or "".join(part.group() for part in parts) != rest:
        msg = 'a duration with its unit, such as "10s", "1m30s" or "200ms"'
        raise ValueError(msg)
    return sign * sum(float(part[1]) * _SECONDS[part[2]] for part in parts)


def format_duration(seconds: float) -> str:
    """Return the shortest usual spelling: ``1m30s``, ``5s``, ``200ms``."""
    if seconds == 0:
        return "0s"
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        if abs(seconds) >= _SECONDS[unit] * (1 - _ROUNDING):
            amount = seconds / _SECONDS[unit]
            if abs(amount - round(amount)) < _ROUNDING or unit in {"s", "ms", "us", "ns"}:
                return f"{amount:.6g}{unit}"
            whole = int(amount)
            return f"{whole}{unit}{format_duration(seconds - whole * _SECONDS[unit])}"
    return f"{seconds / 1e-9:.6g}ns"


Duration = Annotated[
    float,
    BeforeValidator(_parse_duration, json_schema_input_type=str),
    WithJsonSchema({"type": "string", "format": "duration", "examples": ["200ms", "10s", "1m30s"]}),
]
"""Seconds inside; Go's spelling in YAML: ``300ms``, ``10s``, ``1h30m``. ``0`` needs no unit."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|KiB|MiB|GiB)?", re.IGNORECASE)
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def _parse_size(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found:
        msg = 'a size in bytes, such as 1048576, "64MiB" or "20MB"'
        raise ValueError(msg)
    return int(float(found[1]) * _BYTES[(found[2] or "B").lower()])


Size = Annotated[
    int,
    BeforeValidator(_parse_size, json_schema_input_type=str | int),
    WithJsonSchema({"type": ["integer", "string"], "examples": [1048576, "64MiB"]}),
]
"""Bytes inside; a number or ``64MiB`` in YAML."""


class Secret(str):
    """A string that is never shown: ``str()``, ``repr()``, dumps and messages say ``[REDACTED]``; use ``reveal()``."""

    __slots__ = ()

    def reveal(self) -> str:
        """Return the value itself. Only where it goes onto the wire."""
        return str.__str__(self)

    def __str__(self) -> str:
        return "[REDACTED]" if len(self) else ""

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls,
            core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "writeOnly": True}
