"""Reads single records again, at the position where they were found or appended. Blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from zlib import crc32

from untrace_pipeline.delivery.storage import Record
from untrace_plugins.extensions.file_storage.layout import BLOCK_SIZE, associated, parse_head
from untrace_plugins.extensions.file_storage.segment import ORDINALS, Segment

__all__ = ["read_again"]


def read_again(places: Sequence[tuple[Segment, Record]]) -> list[bytes | None]:
    """Return the payload of each record, ``None`` where it is damaged or its file is gone. Raises ``OSError``."""
    payloads: list[bytes | None] = []
    for segment, group in groupby(places, key=lambda place: place[0]):
        records = [record for _, record in group]
        try:
            file = segment.shelf.open_to_read(segment)
        except FileNotFoundError:
            payloads += [None] * len(records)
            continue
        try:
            payloads += [_payload(segment, file, record) for record in records]
        finally:
            segment.shelf.files.close(file)
    return payloads


def _payload(segment: Segment, file: int, record: Record) -> bytes | None:
    files, position = segment.shelf.files, record.position
    parsed = parse_head(files.read(file, BLOCK_SIZE, position), 0, segment.mark)
    if parsed is None or parsed[1].ordinal != record.place & ORDINALS or parsed[1].key != segment.key:
        return None
    head = parsed[1]
    body: bytes | None = files.read(file, head.body_length, position + BLOCK_SIZE)
    assert body is not None
    if crc32(body) != head.body_crc:
        return None
    cipher = segment.shelf.cipher(segment)
    if cipher is not None:
        body = cipher.decrypt(body, associated(head))
    return None if body is None else body[head.header_length :]
