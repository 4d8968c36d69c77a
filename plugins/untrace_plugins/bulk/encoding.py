"""Bulk requests of documents: pairs of lines, at most so many bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from untrace_plugins.bulk.documents import Document, to_json

__all__ = ["Chunk", "chunks"]


MOST_DOCUMENTS = 5000
"""In one request: if each is refused, with its reason, the answer still fits into what a client reads (4 MiB)."""


class Chunk(NamedTuple):
    """One bulk request."""

    documents: Sequence[Document]
    body: bytes


def chunks(documents: Sequence[Document], max_bytes: int) -> Iterator[Chunk]:
    """Yield bulk requests of at most that many bytes; a larger document is alone in one.

    Documents are created, never replaced: data streams take nothing else, and one that is there already is the one that
    was sent before.
    """
    held: list[Document] = []
    lines: list[bytes] = []
    size = 0
    for document in documents:
        pair = b"%b\n%b\n" % (_action(document), document.body)
        if held and (size + len(pair) > max_bytes or len(held) == MOST_DOCUMENTS):
            yield Chunk(held, b"".join(lines))
            held, lines, size = [], [], 0
        held.append(document)
        lines.append(pair)
        size += len(pair)
    if held:
        yield Chunk(held, b"".join(lines))


def _action(document: Document) -> bytes:
    action: dict[str, Any] = {"_index": document.target.name}
    if document.id:
        action["_id"] = document.id
    if document.templates:
        action["dynamic_templates"] = document.templates
    return to_json({"create": action})
