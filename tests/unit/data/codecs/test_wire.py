"""The walk over the wire format."""

from __future__ import annotations

import pytest

from untrace_pipeline.data import Signal
from untrace_pipeline.data.codecs import wire
from untrace_pipeline.data.codecs.upb import UpbCodec
from untrace_pipeline.data.codecs.wire import MAX_MESSAGES, read_varint, varint, walk
from untrace_pipeline.errors import DecodeError
from untrace_pipeline.testing.generate import make_request


@pytest.mark.parametrize("value", [0, 1, 127, 128, 16383, 16384, 2**32, 2**64 - 1])
def test_varint_round_trip(value: int) -> None:
    """A number reads as it was written, at the borders of every length."""
    written = varint(value)
    assert read_varint(written, 0, len(written)) == (value, len(written))


@pytest.mark.parametrize("size", [0, 100, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_lengths_of_any_size(size: int) -> None:
    """Items are found whatever number of bytes their lengths take."""
    request = make_request(Signal.TRACES, 2, attributes={"text": "x" * size})
    data = request.SerializeToString()
    items = walk(Signal.TRACES, data)[-1]
    spans = request.resource_spans[0].scope_spans[0].spans  # type: ignore[attr-defined]
    assert [data[a:b] for a, b in zip(items.starts, items.ends, strict=True)] == [
        span.SerializeToString() for span in spans
    ]


@pytest.mark.parametrize(
    ("data", "problem", "offset"),
    [
        (b"\x0a", "middle of a number", 1),
        (b"\x0a\x80", "middle of a number", 1),
        (b"\x0a" + b"\xff" * 10 + b"\x01", "more than ten bytes", 1),
        (b"\x0a\x05\x12", "longer than what contains it", 0),
        (b"\x0a\x04\x12\x04\x12\x00" + b"\x19" * 9, "longer than what contains it", 2),
        (b"\x02\x00", "illegal field number", 0),
        (b"\x0e\x00", "illegal wire type 6", 0),
        (b"\x0c", "illegal wire type 4", 0),
        (b"\x0b\x14", "a group ends that was not open", 1),
        (b"\x0b" * 200, "nested too deep", 1),
        (b"\x0b", "middle of a number", 1),
    ],
)
def test_broken_containers_name_the_place(data: bytes, problem: str, offset: int) -> None:
    """A malformed container is refused with the byte where reading failed."""
    with pytest.raises(DecodeError, match=problem) as caught:
        walk(Signal.TRACES, data)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    "field",
    [b"\x08\x01", b"\x09abcdefgh", b"\x0b\x08\x01\x0c", b"\x0dabcd", b"\xfa\x7f\x01x", b"\x1b\x13\x08\x01\x14\x1c"],
)
def test_unknown_fields_are_skipped(field: bytes) -> None:
    """Fields of other numbers or types, groups too, do not hide the items around them."""
    span = b"\x0a\x04\x12\x02\x12\x00"
    assert len(walk(Signal.TRACES, field + span + field)[-1]) == 1


def test_metric_data_follow_the_rules_of_oneof() -> None:
    """Equal members of the oneof add up, another member replaces them."""
    gauge, total = b"\x2a\x02\x0a\x00", b"\x3a\x02\x0a\x00"

    def points(data: bytes) -> int:
        metric = b"\x12" + varint(len(data)) + data
        scope = b"\x12" + varint(len(metric)) + metric
        return len(walk(Signal.METRICS, b"\x0a" + varint(len(scope)) + scope)[-1])

    assert points(gauge + gauge) == 2
    assert points(gauge + total) == 1
    assert points(gauge + total + gauge) == 1


@pytest.mark.parametrize("signal", Signal)
def test_millions_of_empty_messages_are_refused(signal: Signal) -> None:
    """Two bytes make an empty container: a request of too many is refused before it is decoded."""
    with pytest.raises(DecodeError, match=f"more than {MAX_MESSAGES} messages"):
        UpbCodec().table(signal, b"\x0a\x00" * (MAX_MESSAGES + 1))


@pytest.mark.parametrize("signal", list(Signal))
@pytest.mark.parametrize(
    "field",
    [b"\xf8\x01\x01", b"\x7a\x00", b"\x79" + bytes(8), b"\x7b" + b"\x08\x01" * 1000 + b"\x7c"],
    ids=["varint", "bytes", "fixed", "group"],
)
def test_number_of_unknown_fields_is_bounded(signal: Signal, field: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Millions of fields to step over cannot hold the event loop, at any depth; thousands may be there."""
    per_field = 1000 if field.endswith(b"\x7c") else 1
    monkeypatch.setattr(wire, "MAX_SKIPPED", 10_000)
    flood = field * (20_000 // per_field + 1)
    assert len(walk(signal, field * 5)[-1]) == 0
    for outer in range(4 if signal is Signal.METRICS else 3):
        data = flood
        for tag in (b"\x0a", b"\x12", b"\x12")[:outer][::-1]:
            data = tag + varint(len(data)) + data
        with pytest.raises(DecodeError, match="more than a million unknown fields"):
            walk(signal, data)


def test_size_of_unknown_groups_is_bounded() -> None:
    """A group is stepped through, so it is not to be long."""
    with pytest.raises(DecodeError, match="a group is too large"):
        walk(Signal.TRACES, b"\x7b" + b"\x08\x01" * 600_000 + b"\x7c")
