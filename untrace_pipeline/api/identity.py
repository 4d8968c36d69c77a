"""Names of components and pipelines, as written in the configuration."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from untrace_pipeline.data.signal import Signal

__all__ = ["ComponentId", "Kind", "PipelineId"]

_TYPE = re.compile(r"[A-Za-z][0-9A-Za-z_]{0,62}\Z")
_NAME = re.compile(r"[^\s/][^\x00-\x1f]{0,1023}\Z")


class Kind(enum.StrEnum):
    """The five kinds of components; the value is the section of the configuration and ends the entry-point group."""

    RECEIVER = "receivers"
    PROCESSOR = "processors"
    CONNECTOR = "connectors"
    EXPORTER = "exporters"
    EXTENSION = "extensions"

    @property
    def singular(self) -> str:
        """The word for one of them: ``receiver`` …"""
        return self.value.removesuffix("s")

    @property
    def group(self) -> str:
        """The entry-point group: ``untrace_pipeline.receivers`` …"""
        return f"untrace_pipeline.{self.value}"


@dataclass(frozen=True, slots=True, order=True)
class ComponentId:
    """``type`` or ``type/name``; the type as the user wrote it, which may be an alias."""

    kind: Kind
    type: str
    name: str = ""

    @classmethod
    def parse(cls, kind: Kind, text: str) -> ComponentId:
        """Read an id. Raises ``ValueError`` that says what is wrong."""
        type_, slash, name = text.partition("/")
        type_, name = type_.strip(), name.strip()
        if not _TYPE.match(type_):
            msg = f"{text!r} is no component id: the type must be letters, digits and underscores"
            raise ValueError(msg)
        if slash and not _NAME.match(name):
            msg = f"{text!r} is no component id: a name must follow the slash"
            raise ValueError(msg)
        return cls(kind, type_, name)

    def __str__(self) -> str:
        return f"{self.type}/{self.name}" if self.name else self.type


@dataclass(frozen=True, slots=True, order=True)
class PipelineId:
    """``traces``, ``metrics``, ``logs``, each optionally with ``/name``."""

    signal: Signal
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> PipelineId:
        """Read an id. Raises ``ValueError`` that names the signals."""
        signal, slash, name = text.partition("/")
        if signal.strip() not in set(Signal):
            msg = f"{text!r} is no pipeline id: it must begin with one of {', '.join(Signal)}"
            raise ValueError(msg)
        if slash and not _NAME.match(name.strip()):
            msg = f"{text!r} is no pipeline id: a name must follow the slash"
            raise ValueError(msg)
        return cls(Signal(signal.strip()), name.strip())

    def __str__(self) -> str:
        return f"{self.signal}/{self.name}" if self.name else str(self.signal)
