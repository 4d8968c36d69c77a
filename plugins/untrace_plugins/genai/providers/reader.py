"""What it takes to read an API: its operation, requests, answers, and streams as the answers they stand for.

A stream is merged into the answer that the provider would have given in one piece, so that both are read by one code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from untrace_plugins.genai.names import Operation
from untrace_plugins.genai.reading import Reading

__all__ = ["Fragments", "Json", "Merger", "Read", "Reader", "dicts", "mapping"]

Json: TypeAlias = Mapping[str, Any]
Read: TypeAlias = Callable[[Reading, Json, bool], None]
"""Sets what a request or an answer says; messages, instructions and definitions only if the flag says so."""

_NOTHING: Final[Json] = {}


class Merger(Protocol):
    """Puts the events of one stream together."""

    def add(self, event: dict[str, Any]) -> bool:
        """Take the next event; return whether it brought content."""

    def whole(self) -> dict[str, Any]:
        """Return the answer, as far as it has come."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How one API is read."""

    operation: Operation
    request: Read
    response: Read
    merger: Callable[[], Merger] | None = None
    """``None`` if the API does not stream."""


class Fragments:
    """Texts by name, of which a stream brings one piece after the other."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: dict[str, list[str]] = {}

    def add(self, name: str, piece: object) -> bool:
        """Take a piece; return whether there was any text in it."""
        if not isinstance(piece, str) or not piece:
            return False
        pieces = self._pieces.get(name)
        if pieces is None:
            self._pieces[name] = [piece]
        else:
            pieces.append(piece)
        return True

    def texts(self) -> dict[str, Any]:
        """Return the texts as they are now."""
        return {name: "".join(pieces) for name, pieces in self._pieces.items()}


def mapping(value: object) -> Json:
    """Return an object; an empty one for anything else."""
    return value if isinstance(value, dict) else _NOTHING


def dicts(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list; none for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
