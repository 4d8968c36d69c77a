"""What is wrong with a body, by the path of each field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

__all__ = ["FieldError", "InvalidError", "check", "load"]

M = TypeVar("M", bound=BaseModel)

MOST_FIELDS = 20
"""Wrong fields that are told; who has more of them has another problem."""
_LONGEST_PATH = 200
_OBJECT = "Input should be an object"
_WRAPPED = 12
"""Levels that the canonical form may add around what was sent."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field, by its path (``request.messages[0].role``), and what is wrong with it; never its value."""

    field: str
    message: str


class InvalidError(Exception):
    """A body is not what it should be."""

    def __init__(self, message: str, fields: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message)
        self.fields = fields

    @classmethod
    def of(cls, field: str, message: str) -> Self:
        """Return the error of one field."""
        return cls(f"{field}: {message}", (FieldError(field, message),))


def load(body: bytes) -> Any:
    """Return what JSON says. Raises :class:`InvalidError`, also where it is nested too deeply to be written again."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidError(f"the body is no JSON: {error}") from None
    try:
        wrapped = given
        for _ in range(_WRAPPED):
            wrapped = [wrapped]
        orjson.dumps(wrapped)
    except TypeError:
        raise InvalidError("the body is nested too deeply") from None
    return given


def check(model: type[M], given: Any, prefix: str = "") -> M:
    """Return the model of what was sent. Raises :class:`InvalidError` with every field that is wrong."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        fields = _fields(error, given, prefix)
        more = f", and {len(fields) - 1} more" if len(fields) > 1 else ""
        first = fields[0]
        raise InvalidError(f"{first.field}: {first.message}{more}", tuple(fields[:MOST_FIELDS])) from None


def _fields(error: ValidationError, given: Any, prefix: str) -> list[FieldError]:
    messages: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        path = _path(problem["loc"], given, prefix, missing=problem["type"] == "missing")
        told = messages.setdefault(path, [])
        message = _OBJECT if problem["type"] == "model_type" else problem["msg"].removeprefix("Value error, ")
        if message not in told:
            told.append(message)
    return [FieldError(path, "; or ".join(told)) for path, told in messages.items()]


def _path(location: tuple[int | str, ...], given: Any, prefix: str, *, missing: bool) -> str:
    """Return the path of a field; names of members of a union, which stand in a location too, are no part of it."""
    path, value = prefix, given
    for place, step in enumerate(location):
        if isinstance(step, int) and isinstance(value, list) and step < len(value):
            path, value = f"{path}[{step}]", value[step]
        elif isinstance(value, Mapping) and (step in value or (missing and place == len(location) - 1)):
            path, value = f"{path}.{step}" if path else str(step), value.get(step)
    return (path or "body")[:_LONGEST_PATH]
