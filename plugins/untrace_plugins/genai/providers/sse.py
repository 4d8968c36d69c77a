"""Server-sent events, as LLM APIs stream them: the data of each, and where it ends.

Read as the HTML standard has it: lines end with LF, CRLF or CR, comments and other fields are skipped, several lines of
data are one, and events may lie in any number of chunks. Other than there, a last event without an empty line counts.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["is_stream", "payloads"]

_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


def is_stream(body: bytes) -> bool:
    """Return whether a body is made of events, whatever its content type says."""
    return body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(_FIELDS)


def payloads(body: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the data of each event, and the offset in the body of its end."""
    if b"\r" in body:
        yield from _of_any_lines(body)
        return
    start = 0
    for block in body.split(b"\n\n"):
        end = start + len(block)
        if block.startswith(b"data: ") and b"\n" not in block:  # as nearly all events are
            yield block[6:], end
        elif data := _data(block.split(b"\n")):
            yield data, end
        start = end + 2


def _of_any_lines(body: bytes) -> Iterator[tuple[bytes, int]]:
    lines: list[bytes] = []
    end = 0
    for line in body.splitlines(keepends=True):
        end += len(line)
        bare = line.rstrip(b"\r\n")
        if bare:
            lines.append(bare)
            continue
        if data := _data(lines):
            yield data, end
        lines = []
    if data := _data(lines):
        yield data, end


def _data(lines: list[bytes]) -> bytes:
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
