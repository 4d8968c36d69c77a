"""What must hold for any bytes that somebody sends as OTLP; shared by the fuzzer and a quick test."""

from __future__ import annotations

import json
from contextlib import suppress

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, attribute
from untrace_pipeline.errors import DecodeError
from untrace_pipeline.testing.generate import make_request

_SIGNALS = list(Signal)
_DEEP = 60


def check_decoders(data: bytes) -> None:
    """Decode, and use what was decoded: only :class:`DecodeError` may come, and only from decoding.

    The first byte chooses the signal and protobuf or JSON.
    """
    if not data:
        return
    signal = _SIGNALS[data[0] % 3]
    body = bytes(data[1:])
    try:
        if data[0] & 0x80:
            body = Batch.from_json(signal, body).to_otlp()
        batch = Batch(signal, body)
        batch.validate()
    except DecodeError:
        with suppress(DecodeError):  # the walk alone must fail in the same way, or count
            _ = Batch(signal, body).item_count
        return
    use(signal, body)


def use(signal: Signal, body: bytes) -> None:
    """Do with a valid request what pipelines do."""
    batch = Batch(signal, body)
    count = batch.item_count
    batch.validate()
    assert count == batch.row_count(Level.ITEM)
    for level in Level:
        batch.columns([attribute("a", level), Field(level, ATTRIBUTES)])
    starts, ends = batch.ranges()
    assert len(starts) == len(ends) == count
    again = Batch.from_json(signal, batch.to_json())
    assert again.item_count == count
    assert again.to_json() == batch.to_json()
    assert sum(part.item_count for part in batch.split(1)) == count
    edit(batch, count)


def edit(batch: Batch, count: int) -> None:
    """Keep every other item, set one attribute by key on it and replace all of its resource."""
    batch.keep([number % 2 == 0 for number in range(count)])
    batch.set(attribute("a"), ["new"] * batch.item_count)
    resources = batch.row_count(Level.RESOURCE)
    batch.set(Field(Level.RESOURCE, ATTRIBUTES), [{"service.name": "fuzz"}] * resources)
    kept = (count + 1) // 2
    for _ in ("through the overlay", "after the rewrite"):
        assert batch.item_count == kept
        assert batch.column(attribute("a")) == ["new"] * kept
        assert batch.column(attribute("service.name", Level.RESOURCE)) == ["fuzz"] * resources
        batch.to_otlp()
    assert Batch(batch.signal, batch.to_otlp()).item_count == kept


def seeds() -> list[bytes]:
    """Return a small corpus: whole requests of all signals in both forms, odd encodings, and broken ones."""
    found = []
    for number, signal in enumerate(_SIGNALS):
        payload = make_request(signal, 5, resources=2, attributes={"a": [1, {"b": b"x"}]}).SerializeToString()
        text = Batch(signal, payload).to_json()
        found += [bytes([number]) + payload, bytes([number]) + payload[:-7], bytes([0x80 + (number - 0x80) % 3]) + text]
    deep: object = {"stringValue": "x"}
    for _ in range(_DEEP):
        deep = {"arrayValue": {"values": [deep]}}
    nested = {"resourceSpans": [{"resource": {"attributes": [{"key": "a", "value": deep}]}}]}
    found.append(b"\x81" + json.dumps(nested).encode())
    return found + [b"\x00" + body for body in ODD_PROTOBUF] + [b"\x01" + body for body in ODD_METRICS]


ODD_PROTOBUF = (
    b"",
    b"\x0a\x80",  # a length that ends in the middle
    b"\x0a\xff\xff\xff\xff\x0f",  # a length of 4 GiB
    b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # a length beyond 64 bits
    b"\x0a\x05\x12\x03\x12\x7f\x00",  # a span longer than its scope
    b"\x08\x01",  # field 1 as a number: unknown
    b"\x0b\x0c",  # field 1 as a group: unknown
    b"\x0b" * 200,  # groups without end
    b"\x0a\x02\x0b\x0c",  # the resource as a group
    b"\x0b\x00\x00\x0c",  # field number 0 within an unknown group, where protobuf accepts it
    b"\x02\x00",  # field number 0
    b"\x0a\x04\x12\x02\x12\x00",  # an empty span
    b"\x8a\x00\x04\x12\x02\x12\x00",  # a tag in two bytes where one does
    b"\x0a\x84\x80\x00\x12\x02\x12\x00",  # a length in three bytes where one does
    b"\x0a\x0a\x12\x08\x12\x06\x0a\x04abcd",  # a trace id of four bytes
)
"""Bodies that parsers like to trip over, as trace requests."""

ODD_METRICS = (
    b"\x0a\x0c\x12\x0a\x12\x08\x2a\x02\x0a\x00\x2a\x02\x0a\x00",  # the gauge of a metric in two pieces
    b"\x0a\x0c\x12\x0a\x12\x08\x2a\x02\x0a\x00\x3a\x02\x0a\x00",  # a gauge, then a sum that replaces it
    b"\x0a\x10\x12\x0e\x12\x0c\x2a\x02\x0a\x00\x3a\x02\x0a\x00\x2a\x02\x0a\x00",
)
"""Metric requests whose data protobuf merges or replaces."""
