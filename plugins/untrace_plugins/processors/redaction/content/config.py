"""Options of what detectors find, and what is done with it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from untrace_pipeline.api import ConfigModel

__all__ = ["Action", "CustomDetectorConfig", "Mode", "OnError", "PatternText", "PolicyConfig"]


class Action(StrEnum):
    """What happens to something that was found."""

    REPLACE = "replace"
    MASK = "mask"
    KEEP_LAST = "keep_last"
    HASH = "hash"
    TOKEN = "token"  # noqa: S105  no password
    DROP_ATTRIBUTE = "drop_attribute"
    DROP_ITEM = "drop_item"
    KEEP = "keep"


class Mode(StrEnum):
    """A law that says what is personal."""

    GDPR = "gdpr"
    CCPA = "ccpa"
    HIPAA = "hipaa"


class OnError(StrEnum):
    """What happens to a value when a detector fails on it."""

    MASK = "mask"
    PASS = "pass"  # noqa: S105  no password
    DROP = "drop"


def _compiles(text: str) -> str:
    from untrace_plugins.processors.redaction.confirm import Pattern  # noqa: PLC0415  loads RE2 when it is needed

    try:
        Pattern(text)
    except ValueError as error:
        msg = f"no pattern in RE2's syntax: {error}"
        raise ValueError(msg) from error
    return text


PatternText = Annotated[str, AfterValidator(_compiles)]
"""A regular expression."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def _is_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        msg = "small letters, digits and underscores are expected: employee_id"
        raise ValueError(msg)
    return text


class CustomDetectorConfig(ConfigModel):
    """A detector made of a pattern."""

    name: Annotated[str, AfterValidator(_is_name)]
    """Name, as policies and metrics have it; in capitals it is the type that stands in replacements: `employee_id`."""
    pattern: PatternText
    """Pattern in RE2's syntax; what the last group of a match holds is found, or all of it if there is no group."""


class PolicyConfig(ConfigModel):
    """What happens to findings of which all given criteria are true."""

    detectors: list[str] = []
    """Names of detectors, or of groups of them. Empty = all."""
    attributes: list[str] = []
    """Keys of attributes with `*` for anything, or `body`, `name`, `status.message`, `event.name`. Empty = all."""
    roles: list[str] = []
    """Roles of the message that the text is in: `system`, `user`, `assistant`, `tool`. Empty = all."""
    tools: list[str] = []
    """Names, with `*`, of tools whose arguments or results the text is in. Empty = all."""
    action: Action
    """As `default_action`."""
    keep: int = Field(default=4, ge=1, le=8)
    """How many letters and digits `keep_last` leaves; at most half of a value."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.detectors or self.attributes or self.roles or self.tools):
            msg = "a policy without detectors, attributes, roles or tools is for everything: use default_action"
            raise ValueError(msg)
        return self
