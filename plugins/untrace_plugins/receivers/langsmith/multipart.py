"""``multipart/form-data`` (RFC 7578) as a whole body; bytes are never copied but once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

__all__ = ["FormPart", "MultipartError", "boundary_of", "read_multipart"]

LONGEST_HEAD_BYTES = 4096
_NAME = re.compile(rb';\s*name="((?:[^"\\]|\\.)*)"')
_LENGTH = re.compile(r";\s*length=(\d+)")


class MultipartError(ValueError):
    """The body is not what it says; nothing of it can be trusted. Says where."""


@dataclass(frozen=True, slots=True)
class FormPart:
    """One field of the form."""

    name: str
    content_type: str
    body: bytes


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a ``Content-Type`` names. Raises :class:`MultipartError`."""
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        msg = 'Content-Type must be multipart/form-data with a boundary: multipart/form-data; boundary="…"'
        raise MultipartError(msg)
    return boundary.encode("latin-1", "replace")


def read_multipart(body: bytes, boundary: bytes) -> Iterator[FormPart]:
    """Yield the parts. Raises :class:`MultipartError`, also where a part has another size than it says."""
    delimiter = b"--" + boundary
    place = body.find(delimiter)
    if place < 0:
        msg = "the boundary that Content-Type names is not in the body"
        raise MultipartError(msg)
    number = 0
    while True:
        place += len(delimiter)
        if body.startswith(b"--", place):
            return
        number += 1
        if not body.startswith(b"\r\n", place):
            msg = f"part {number}: the body ends, or goes on, right after a boundary"
            raise MultipartError(msg)
        # a part without headers has the end of its head right here
        end = body.find(b"\r\n\r\n", place, place + LONGEST_HEAD_BYTES)
        if end < 0:
            msg = f"part {number}: its headers do not end within {LONGEST_HEAD_BYTES} bytes"
            raise MultipartError(msg)
        name, content_type, length = _head(body[place + 2 : end], number)
        begin = end + 4
        place = _end(body, begin, b"\r\n" + delimiter, length, name)
        yield FormPart(name, content_type, body[begin : place - 2])


def _head(head: bytes, number: int) -> tuple[str, str, int | None]:
    """Return name, type and announced length of a part."""
    headers = {
        key.strip().lower(): value.strip() for key, _, value in (line.partition(b":") for line in head.split(b"\r\n"))
    }
    found = _NAME.search(headers.get(b"content-disposition", b""))
    if found is None:
        msg = f'part {number}: no Content-Disposition with a name: form-data; name="…"'
        raise MultipartError(msg)
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    written = headers.get(b"content-length", b"").decode("latin-1")
    said = _LENGTH.search(content_type)
    if written and not (written.isascii() and written.isdigit()):
        msg = f"part {number}: Content-Length is no number"
        raise MultipartError(msg)
    length = int(written) if written else int(said[1]) if said else None
    return found[1].decode("utf-8", "replace"), content_type.partition("; length=")[0], length


def _end(body: bytes, begin: int, delimiter: bytes, length: int | None, name: str) -> int:
    """Return where the delimiter after a part begins, past its line break."""
    if length is not None and body.startswith(delimiter, begin + length):
        return begin + length + 2
    end = body.find(delimiter, begin)
    if end < 0:
        msg = f"part {name[:100]!r} does not end: the body was cut off"
        raise MultipartError(msg)
    if length is not None:
        msg = f"part {name[:100]!r} says that it has {length} bytes, and has {end - begin}"
        raise MultipartError(msg)
    return end + 2
