"""Whose text something in a JSON document is: the role of its message, the tool that it goes to or comes from."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["FACTS", "Scope"]

FACTS = frozenset({"role", "message.role", "name", "tool_name", "type", "id", "tool_call_id"})
"""Keys whose values say whose text is beside them, in the forms of GenAI, OpenAI, Anthropic and OpenInference."""
_FUNCTION = "function"
"""Key of a call's name and arguments within OpenAI's ``tool_calls``; the id stands before it."""
_TOOL_TYPES = frozenset({"function", "function_call", "tool", "tool_call", "tool_use"})
_ANSWER_TYPES = frozenset({"tool_call_response", "tool_result", "function_call_output"})


class Scope:
    """An object or a list of a document."""

    __slots__ = ("facts", "key", "names", "parent")

    def __init__(self, parent: Scope | None = None, key: str = "") -> None:
        self.parent = parent
        self.key = key
        """Key of the object, or number in the list, that it is found under."""
        self.facts: dict[str, str] = {}
        self.names: dict[str, str] = parent.names if parent is not None else {}
        """Names of tools by the id of the call, in the whole document."""

    def tell(self, key: str, value: str) -> None:
        """Note what a key says; all have spoken when the document was read to its end."""
        self.facts[key] = value
        outer = self.parent.facts if self.parent is not None and self.key == _FUNCTION else {}
        call = self.facts.get("id") or outer.get("id")
        if call is not None and "name" in self.facts:
            self.names[call] = self.facts["name"]

    def chain(self) -> Iterator[Scope]:
        """Yield this scope and those around it, from the inside out."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    @property
    def path(self) -> str:
        """Keys and numbers from the document's root to here."""
        return ".".join(reversed([scope.key for scope in self.chain()]))

    @property
    def role(self) -> str | None:
        """Role of the message, ``None`` if there is none."""
        roles = (scope.facts.get("role") or scope.facts.get("message.role") for scope in self.chain())
        return next(filter(None, roles), None)

    @property
    def tool(self) -> str | None:
        """Name of the tool, ``None`` if this is no call and no answer of one."""
        return next(filter(None, map(_tool, self.chain())), None)


def _tool(scope: Scope) -> str | None:
    facts = scope.facts
    if "tool_name" in facts:
        return facts["tool_name"]
    if facts.get("type") in _TOOL_TYPES or scope.key in {_FUNCTION, "function_call"}:
        return facts.get("name")
    if "tool_call_id" in facts:
        return facts.get("name") or scope.names.get(facts["tool_call_id"])
    if facts.get("type") in _ANSWER_TYPES:
        return scope.names.get(facts.get("id") or facts.get("call_id", ""))
    return None
