"""The forms that LLM spans can leave in, and what of a span each is made from."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from untrace_pipeline.data import Value

__all__ = ["Changes", "Form", "Span"]

Changes: TypeAlias = dict[str, Value]
"""Attributes to set; ``None`` removes one."""


class Form(enum.StrEnum):
    """Conventions of attributes that destinations read."""

    GENAI = "genai"
    AS_IS = "as_is"


@dataclass(frozen=True, slots=True)
class Span:
    """A span in canonical form, as far as an emitter looks at it. Times are nanoseconds since the Unix epoch."""

    attributes: Mapping[str, Value] = field(default_factory=dict)
    start_time_unix_nano: int = 0
    end_time_unix_nano: int = 0
