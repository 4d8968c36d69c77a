"""Requests as nobody should write them: unknown fields anywhere, and encodings that are legal but odd, or broken."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)
Piece = tuple[int, int, bytes]
"""A field: number, wire type, value (without its length)."""


def varint(number: int, extra: int = 0) -> bytes:
    """Return a base-128 number, in more bytes than needed where asked."""
    number &= 2**64 - 1
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    for _ in range(extra):
        made[-1] |= 0x80
        made.append(0)
    return bytes(made)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and the offset behind it."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def pieces(data: bytes) -> Iterator[Piece]:
    """Yield the fields of a well-formed message without groups at this level."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        begin = at
        if kind == VARINT:
            _, at = read_varint(data, at)
        elif kind == LENGTH:
            size, begin = read_varint(data, at)
            at = begin + size
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        else:
            raise ValueError(kind)
        yield number, kind, data[begin:at]


def piece(number: int, kind: int, value: bytes, extra: int = 0) -> bytes:
    """Return a field as bytes; ``extra`` bytes more than needed in its tag or its length."""
    tag = varint(number << 3 | kind, extra & 1)
    return tag + (varint(len(value), extra >> 1) if kind == LENGTH else b"") + value


UNKNOWN = (
    piece(2047, LENGTH, b"new"),
    piece(2047, VARINT, b"\x96\x01"),
    piece(99, FIXED32, b"abcd"),
    piece(536870911, FIXED64, b"abcdefgh"),
    piece(77, LENGTH, b""),
)
GROUPS = (b"\xfb\x7f\x08\x01\xfc\x7f", b"\xfb\x7f\xfb\x7f\xfc\x7f\xfc\x7f")


def with_unknown_fields(descriptor: Descriptor, data: bytes, rng: random.Random, rate: float = 0.2) -> bytes:
    """Return the request with fields of a later version at any place of any message."""

    def change(_: Descriptor, fields: list[bytes]) -> None:
        while rng.random() < rate:
            fields.insert(rng.randint(0, len(fields)), rng.choice(UNKNOWN))

    return rewritten(descriptor, data, change)


def oddly_encoded(descriptor: Descriptor, data: bytes, rng: random.Random, rate: float = 0.05) -> bytes:
    """Return the request as odd encoders, attackers and broken links write it; perhaps it is not valid any more."""

    def change(message: Descriptor, fields: list[bytes]) -> None:
        while rng.random() < rate:
            rng.choice(ODDITIES)(message, fields, rng)

    return rewritten(descriptor, data, change)


def rewritten(descriptor: Descriptor, data: bytes, change: Callable[[Descriptor, list[bytes]], None]) -> bytes:
    """Return a message with ``change`` done to the fields of it and of all messages below."""
    try:
        found = list(pieces(data))
    except (ValueError, IndexError):
        return data
    fields = []
    for number, kind, body in found:
        value = body
        known = descriptor.fields_by_number.get(number)
        if kind == LENGTH and known is not None and known.message_type is not None:
            value = rewritten(known.message_type, value, change)
        fields.append(piece(number, kind, value))
    change(descriptor, fields)
    return b"".join(fields)


def _parsed(field: bytes) -> Piece | None:
    """Return a field that is neither broken nor a group."""
    try:
        return next(pieces(field))
    except (ValueError, IndexError, StopIteration):
        return None


def _place(fields: list[bytes], rng: random.Random) -> int:
    return rng.randrange(len(fields)) if fields else -1


def _long_number(_: Descriptor, fields: list[bytes], rng: random.Random) -> None:
    if (at := _place(fields, rng)) >= 0 and (found := _parsed(fields[at])):
        number, kind, value = found
        if kind == VARINT and rng.random() < 0.5:
            fields[at] = piece(number, kind, varint(read_varint(value, 0)[0], rng.randrange(3)))
        else:
            fields[at] = piece(number, kind, value, rng.randrange(8))


def _twice(_: Descriptor, fields: list[bytes], rng: random.Random) -> None:
    if (at := _place(fields, rng)) >= 0:
        fields.insert(rng.randint(0, len(fields)), fields[at])


def _shuffle(_: Descriptor, fields: list[bytes], rng: random.Random) -> None:
    rng.shuffle(fields)


def _group(_: Descriptor, fields: list[bytes], rng: random.Random) -> None:
    fields.insert(rng.randint(0, len(fields)), rng.choice(GROUPS))


def _other_wire_type(message: Descriptor, fields: list[bytes], rng: random.Random) -> None:
    field: Any = rng.choice(message.fields) if message.fields else None
    if field is not None:
        kind = rng.choice((VARINT, FIXED64, LENGTH, FIXED32))
        value = {VARINT: b"\x05", FIXED64: b"12345678", FIXED32: b"1234"}.get(
            kind, rng.choice((b"", b"\x08\x01", b"x"))
        )
        fields.insert(rng.randint(0, len(fields)), piece(field.number, kind, value))


def _known_field(message: Descriptor, fields: list[bytes], rng: random.Random) -> None:
    if not message.fields:
        return
    field: FieldDescriptor = rng.choice(message.fields)
    if field.message_type is not None or field.type in (field.TYPE_STRING, field.TYPE_BYTES):
        value = piece(field.number, LENGTH, rng.choice((b"", b"12345678", b"1234567890123456", b"\xff", b"\x0a\x01a")))
    elif field.type in (field.TYPE_FIXED64, field.TYPE_DOUBLE, field.TYPE_SFIXED64):
        value = piece(field.number, FIXED64, bytes(rng.randrange(256) for _ in range(8)))
    elif field.type == field.TYPE_FIXED32:
        value = piece(field.number, FIXED32, bytes(rng.randrange(256) for _ in range(4)))
    else:
        value = piece(field.number, VARINT, varint(rng.choice((0, 1, 2, 7, 2**31, 2**32, 2**63, 2**64 - 1, -1))))
    fields.insert(rng.randint(0, len(fields)), value)


def _without(_: Descriptor, fields: list[bytes], rng: random.Random) -> None:
    if (at := _place(fields, rng)) >= 0:
        del fields[at]


def _empty_piece(_: Descriptor, fields: list[bytes], rng: random.Random) -> None:
    if (at := _place(fields, rng)) >= 0 and (found := _parsed(fields[at])):
        number, kind, _value = found
        if kind == LENGTH:
            fields[at] = piece(number, kind, b"")


def _broken(_: Descriptor, fields: list[bytes], rng: random.Random) -> None:
    fields.insert(
        rng.randint(0, len(fields)), rng.choice((b"\x00", b"\x07", b"\x0c", b"\x80", b"\x0a\x7f", b"\xff" * 11))
    )


ODDITIES = (
    *(_long_number, _twice, _shuffle, _group, _other_wire_type, _known_field, _known_field),
    *(_without, _empty_piece, _broken),
)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes with a few of them flipped, cut, doubled or moved, without a thought for what they mean."""
    body = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        if not body:
            break
        at = rng.randrange(len(body))
        match rng.randrange(5):
            case 0:
                body[at] ^= 1 << rng.randrange(8)
            case 1:
                del body[at : at + rng.randrange(1, 9)]
            case 2:
                body[at:at] = body[at : at + rng.randrange(1, 200)]
            case 3:
                del body[at:]
            case _:
                body[at] = rng.choice((0, 0x0A, 0x12, 0x7F, 0x80, 0xFF))
    return bytes(body)
