"""Tool definitions: from what providers and frameworks take to those of OTel GenAI v1.41."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from untrace_plugins.genai.values import dump, structure

__all__ = ["tool_definitions"]

REMEMBERED_CHARACTERS = 1 << 16
"""Longest definitions that are remembered; with the size of the cache, a bound of some megabytes."""


def tool_definitions(value: object) -> str | None:
    """Return ``gen_ai.tool.definitions`` of tools as providers and frameworks take them.

    An application sends the same with every call, so texts that were read are remembered.
    """
    if isinstance(value, str) and len(value) <= REMEMBERED_CHARACTERS:
        return _remembered(value)
    if (
        isinstance(value, list)
        and all(isinstance(one, str) for one in value)
        and sum(map(len, value)) <= REMEMBERED_CHARACTERS
    ):
        return _remembered(tuple(value))
    return _read(value)


@lru_cache(maxsize=128)
def _remembered(value: str | tuple[str, ...]) -> str | None:
    return _read(list(value) if isinstance(value, tuple) else value)


def _read(value: object) -> str | None:
    given = structure(value)
    tools = given.values() if isinstance(given, dict) and "name" not in given and "type" not in given else given
    if isinstance(tools, dict):
        tools = [tools]
    if not isinstance(tools, Iterable) or isinstance(tools, (str, bytes)):
        return None
    found = [_definition(one) for tool in tools if isinstance(one := structure(tool), dict)]
    if found and found == given and isinstance(value, str):
        return value
    return dump(found) if found else None


def _definition(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool definition flat: type, name, description, parameters; other keys stay."""
    inner = tool.get("function", tool.get("toolSpec"))
    found = {**{key: tool[key] for key in ("type",) if key in tool}, **inner} if isinstance(inner, dict) else dict(tool)
    for key in ("input_schema", "inputSchema", "parametersJsonSchema", "args_schema", "parameters_json_schema"):
        schema = found.pop(key, None)
        if schema is not None and "parameters" not in found:
            found["parameters"] = schema["json"] if isinstance(schema, dict) and schema.keys() == {"json"} else schema
    found.setdefault("type", "function")
    return found
