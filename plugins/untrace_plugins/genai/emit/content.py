"""Messages, tool definitions and documents of the canonical form, read from their JSON strings.

Whatever does not have the shape of the convention is not read, so that an emitter leaves it where it is.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final, NamedTuple

import orjson

from untrace_pipeline.data import Value

__all__ = ["Message", "as_text", "is_json", "is_plain", "read_messages", "read_objects", "read_parts", "to_json"]

_STRINGS: Final = {
    "text": ("content",),
    "reasoning": ("content",),
    "tool_call": ("name",),
    "tool_call_response": (),
    "blob": ("content", "modality"),
    "uri": ("uri", "modality"),
    "file": ("file_id", "modality"),
}
"""Strings that a part of each of the convention's own types has."""
_MAY_HAVE: Final = {
    "tool_call": {"id", "arguments"},
    "tool_call_response": {"id", "response"},
    **{key: {"mime_type"} for key in ("blob", "uri", "file")},
}
_KEYS: Final = {kind: {"type", *strings, *_MAY_HAVE.get(kind, ())} for kind, strings in _STRINGS.items()}
_MESSAGE_KEYS: Final = {"role", "parts", "name", "finish_reason"}


class Message(NamedTuple):
    """A message of ``gen_ai.input.messages`` or ``gen_ai.output.messages``."""

    role: str
    parts: list[dict[str, Any]]
    name: str | None = None
    finish_reason: str | None = None
    plain: bool = True
    """Whether its parts are of the convention's own types, without further keys: what every form has words for."""

    def texts(self) -> list[str]:
        """Return the texts, without reasoning."""
        return [part["content"] for part in self.parts if part["type"] == "text" and is_plain(part)]


def read_messages(value: Value) -> list[Message] | None:
    """Return the messages of an attribute, ``None`` if it has none or is malformed."""
    found = read_objects(value)
    if found is None:
        return None
    messages = [_message(one) for one in found]
    return None if None in messages else messages  # type: ignore[return-value]


def read_parts(value: Value) -> list[dict[str, Any]] | None:
    """Return the parts of ``gen_ai.system_instructions``, ``None`` if it has none or is malformed."""
    found = read_objects(value)
    return None if found is None or not all(isinstance(part.get("type"), str) for part in found) else found


def read_objects(value: Value) -> list[dict[str, Any]] | None:
    """Return the objects of a JSON array, ``None`` if it is absent, empty, or anything else."""
    found: Any = value
    if isinstance(value, str | bytes):
        try:
            found = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        return None
    return found


def _message(found: dict[str, Any]) -> Message | None:
    role, parts = found.get("role"), found.get("parts")
    if not isinstance(role, str) or not isinstance(parts, list):
        return None
    plain = found.keys() <= _MESSAGE_KEYS
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            return None
        plain = plain and is_plain(part)
    name, finish_reason = found.get("name"), found.get("finish_reason")
    return Message(
        role,
        parts,
        name if isinstance(name, str) else None,
        finish_reason if isinstance(finish_reason, str) and finish_reason else None,
        plain,
    )


def is_plain(part: dict[str, Any]) -> bool:
    """Return whether a part is of one of the convention's own types, with no further keys."""
    kind = part["type"]
    keys = _KEYS.get(kind)
    if keys is None or not part.keys() <= keys:
        return False
    return all(isinstance(part.get(key), str) for key in _STRINGS[kind])


def as_text(value: object) -> str:
    """Return a string as it is, and anything else as JSON: arguments and results come either way."""
    return value if isinstance(value, str) else to_json(value)


def to_json(value: object) -> str:
    """Return compact JSON of anything that an attribute can hold; bytes as base64, absurd numbers as they are."""
    try:
        return orjson.dumps(value, default=_unusual).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return json.dumps(value, separators=(",", ":"), default=_unusual)


def _unusual(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def is_json(text: str) -> bool:
    """Return whether a text is a JSON object or array."""
    if not text.startswith(("{", "[")):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
