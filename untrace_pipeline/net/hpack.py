"""Header compression of HTTP/2 (RFC 7541): a decoder, and the two forms of encoding that our answers need.

The general-purpose library decodes eight headers in 50 µs, more than a whole request may cost here; this decoder needs
5 µs. Static table and Huffman code are the library's.
"""

from __future__ import annotations

from hpack.exceptions import HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

__all__ = ["HeaderList", "HpackDecoder", "HpackError", "encode_header"]

HeaderList = list[tuple[bytes, bytes]]

TABLE_BYTES = 4096
"""SETTINGS_HEADER_TABLE_SIZE that we never change."""
ENTRY_OVERHEAD = 32
"""RFC 7541, 4.1: what an entry counts besides name and value."""
MAX_INTEGER_BITS = 28

_STATIC: list[tuple[bytes, bytes]] = [(b"", b""), *((bytes(n), bytes(v)) for n, v in HeaderTable.STATIC_TABLE)]
_DYNAMIC = len(_STATIC)


class HpackError(Exception):
    """The block cannot be decoded; the connection cannot go on (COMPRESSION_ERROR)."""


class HpackDecoder:
    """Decodes the header blocks of one connection, in order."""

    __slots__ = ("_limit", "_size", "_table", "literals")

    def __init__(self) -> None:
        self._table: list[tuple[bytes, bytes]] = []  # newest first
        self._size = 0
        self._limit = TABLE_BYTES
        self.literals: HeaderList = []
        """The headers of the last block that were spelled out; all others are repeated from blocks before."""

    def decode(self, block: bytes, max_bytes: int) -> HeaderList | None:
        """Return the headers in order, or ``None`` if they are larger than ``max_bytes`` (counted as in 4.1).

        A block that is too large is decoded all the same, because the next one builds on it. Raises
        :class:`HpackError`.
        """
        headers: HeaderList = []
        self.literals = literals = []
        position, size = 0, 0
        try:
            while position < len(block):
                first = block[position]
                if first & 0x80:
                    index, position = _integer(block, position, 0x7F)
                    header = self._at(index)
                elif first & 0x40:
                    header, position = self._literal(block, position, 0x3F)
                    self._add(header)
                    literals.append(header)
                elif first & 0x20:
                    if size:
                        raise HpackError("a table size update behind a header")  # 4.2
                    limit, position = _integer(block, position, 0x1F)
                    self._resize(limit)
                    continue
                else:
                    header, position = self._literal(block, position, 0x0F)
                    literals.append(header)
                size += len(header[0]) + len(header[1]) + ENTRY_OVERHEAD
                if size <= max_bytes:
                    headers.append(header)
        except (IndexError, HPACKError) as error:
            msg = f"header block ends early or is damaged: {error}"
            raise HpackError(msg) from error
        return headers if size <= max_bytes else None

    def _at(self, index: int) -> tuple[bytes, bytes]:
        if 0 < index < _DYNAMIC:
            return _STATIC[index]
        if index == 0:
            raise HpackError("index 0")
        return self._table[index - _DYNAMIC]

    def _literal(self, block: bytes, position: int, mask: int) -> tuple[tuple[bytes, bytes], int]:
        index, position = _integer(block, position, mask)
        if index:
            name = self._at(index)[0]
        else:
            name, position = _string(block, position)
        value, position = _string(block, position)
        return (name, value), position

    def _add(self, header: tuple[bytes, bytes]) -> None:
        self._size += len(header[0]) + len(header[1]) + ENTRY_OVERHEAD
        self._table.insert(0, header)
        self._evict()

    def _resize(self, limit: int) -> None:
        if limit > TABLE_BYTES:
            msg = f"table size {limit} is above {TABLE_BYTES}"
            raise HpackError(msg)
        self._limit = limit
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit:
            name, value = self._table.pop()
            self._size -= len(name) + len(value) + ENTRY_OVERHEAD


def _integer(block: bytes, position: int, mask: int) -> tuple[int, int]:
    """Read an integer whose prefix is under ``mask`` (5.1); return it and the position behind it."""
    value = block[position] & mask
    position += 1
    if value < mask:
        return value, position
    shift = 0
    while True:
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  the highest bit says that more follow
            return value, position
        shift += 7
        if shift >= MAX_INTEGER_BITS:
            raise HpackError("integer is too large")


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    """Read a string (5.2); return it and the position behind it."""
    huffman = block[position] & 0x80
    length, position = _integer(block, position, 0x7F)
    end = position + length
    if end > len(block):
        raise HpackError("string is longer than the block")
    text = block[position:end]
    return (decode_huffman(text) if huffman else text), end


def encode_header(name: bytes, value: bytes) -> bytes:
    """Return a header as a literal that enters no table (6.2.2), so that equal answers have equal bytes."""
    return b"\x00" + _encoded(name) + _encoded(value)


def _encoded(text: bytes) -> bytes:
    length = len(text)
    if length < 0x7F:  # noqa: PLR2004  what fits under the prefix
        return bytes((length,)) + text
    prefix = bytearray((0x7F,))
    length -= 0x7F
    while length >= 0x80:  # noqa: PLR2004
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + text
