"""Header compression, with the general-purpose library as the judge."""

from __future__ import annotations

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.net.hpack import HpackDecoder, HpackError, encode_header

LIMIT = 1 << 20
COMMON = [b":path", b":method", b"content-type", b"te", b"x-tenant", b"grpc-timeout"]
names = st.sampled_from(COMMON) | st.binary(min_size=1)
header_lists = st.lists(st.tuples(names, st.binary(max_size=300)), max_size=20)


@given(blocks=st.lists(header_lists, max_size=8), huffman=st.booleans(), sizes=st.lists(st.integers(0, 4096)))
def test_what_the_library_encodes_is_decoded(
    blocks: list[list[tuple[bytes, bytes]]], huffman: bool, sizes: list[int]
) -> None:
    """Any headers, with tables that fill, overflow and are resized, come out as they went in."""
    encoder, decoder = hpack.Encoder(), HpackDecoder()
    for number, headers in enumerate(blocks):
        if number < len(sizes):
            encoder.header_table_size = sizes[number]
        assert decoder.decode(encoder.encode(headers, huffman=huffman), LIMIT) == headers


@given(block=st.binary(max_size=300))
def test_any_bytes_are_decoded_as_the_library_does_or_refused(block: bytes) -> None:
    """Damaged blocks end in one kind of error; what the library takes, we take."""
    judge = hpack.Decoder(max_header_list_size=LIMIT)
    try:
        expected = [(bytes(name), bytes(value)) for name, value in judge.decode(block, raw=True)]
    except Exception:  # noqa: BLE001  any refusal of the judge
        expected = None
    try:
        found = HpackDecoder().decode(block, LIMIT)
    except HpackError:
        found = None
    if expected is not None:
        assert found == expected


@given(name=st.binary(min_size=1, max_size=400), value=st.binary(max_size=20_000))
def test_what_we_encode_the_library_decodes(name: bytes, value: bytes) -> None:
    """Literals of any length are well-formed."""
    decoder = hpack.Decoder(max_header_list_size=LIMIT)
    assert [(bytes(n), bytes(v)) for n, v in decoder.decode(encode_header(name, value), raw=True)] == [(name, value)]


def test_bomb_is_counted_and_not_kept() -> None:
    """A large entry that is repeated by one byte each is refused at the limit, and the connection can go on."""
    encoder, decoder = hpack.Encoder(), HpackDecoder()
    assert decoder.decode(encoder.encode([(b"x", b"y" * 4000)]), LIMIT) is not None
    assert decoder.decode(b"\xbe" * 100_000, 64 * 1024) is None
    assert decoder.decode(encoder.encode([(b"a", b"b")]), LIMIT) == [(b"a", b"b")]


@pytest.mark.parametrize(
    "block",
    [b"\x80", b"\xff" * 8 + b"\x01", b"\x3f\xff\xff\x7f", b"\x40\x7f\xff", b"\xfe", b"\x00\x85\xff\xff", b"\x88\x20"],
    ids=["index-0", "endless-integer", "table-too-large", "string-too-long", "no-such-entry", "huffman", "late-resize"],
)
def test_damaged_blocks(block: bytes) -> None:
    """Each way of being wrong is an HpackError."""
    with pytest.raises(HpackError):
        HpackDecoder().decode(block, LIMIT)
