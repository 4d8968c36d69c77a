"""Bodies off the wire: events however they are cut, JSON of which a part is missing, compression with a bound."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from untrace_plugins.genai.providers import decoding
from untrace_plugins.genai.providers.decoding import decoded
from untrace_plugins.genai.providers.exchange import Body
from untrace_plugins.genai.providers.json_pieces import array_items, item_end, recovered
from untrace_plugins.genai.providers.sse import is_stream, payloads

pytestmark = pytest.mark.once

EVENTS = b': hi\n\nevent: a\ndata: {"n": 1}\n\ndata:{"n":\ndata: 2}\nid: 7\n\n\n\nretry: 5\n\ndata: {"n": 3}'


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events(end: bytes) -> None:
    """Comments and other fields are skipped, lines of data joined, and the last event needs no empty line."""
    body = EVENTS.replace(b"\n", end)
    assert is_stream(body)
    assert [json.loads(data) for data, _ in payloads(body)] == [{"n": 1}, {"n": 2}, {"n": 3}]
    ends = [offset for _, offset in payloads(body)]
    assert ends == sorted(ends)
    assert ends[-1] == len(body)


def test_no_events() -> None:
    """JSON and pages are no streams."""
    assert not any(map(is_stream, (b"", b'{"data": 1}', b'[{"a": 1}]', b"<html>")))
    assert list(payloads(b"")) == []


def test_when_an_event_had_come() -> None:
    """An event has come with the chunk that its last byte is in."""
    chunks = [b"data: 1", b"\n\ndata: ", b"2\n\n"]
    text = decoded(Body(chunks, [10, 20, 30], 18))
    assert text is not None
    assert [(data, text.time_at(end)) for data, end in payloads(text.head)] == [(b"1", 10), (b"2", 30)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60)
@given(st.dictionaries(st.text(min_size=1, max_size=5), JSON, min_size=1, max_size=4), st.data())
def test_beginning_of_an_object(value: dict[str, Any], data: st.DataObject) -> None:
    """Whatever is whole in it is read; nothing that is not there, nothing twice."""
    text = orjson.dumps(value)
    part = text[: data.draw(st.integers(1, len(text)))]
    found = recovered(part)
    assert found is not None
    _check_beginning(found, value)


def _check_beginning(found: Any, whole: Any) -> None:
    if isinstance(whole, str):
        assert isinstance(found, str)
        assert whole.startswith(found)
    elif isinstance(whole, dict):
        assert list(found) == list(whole)[: len(found)]
        for key, one in found.items():
            _check_beginning(one, whole[key])
    elif isinstance(whole, list):
        assert len(found) <= len(whole)
        for one, other in zip(found, whole, strict=False):
            _check_beginning(one, other)
    else:
        assert found == whole


def test_string_cut_within_an_escape() -> None:
    """Half an escape and half a character are left out."""
    assert recovered(b'{"a": "x\\u00') == {"a": "x"}
    assert recovered(b'{"a": "x\\') == {"a": "x"}
    assert recovered('{"a": "xü'.encode()[:-1]) == {"a": "x"}
    assert recovered(b'{"a": 1, "b') == {"a": 1}
    assert recovered(b'{"a": 1, "b":') == {"a": 1}
    assert recovered(b'{"a": 12') == {}  # it may have gone on
    assert recovered(b"no json") is None


def test_end_of_an_object() -> None:
    """Members of the object itself, not of others within it; the beginning wins."""
    tail = b'xx"}], "n": {"a": 1, "b": 2}, "usage": {"in": 3, "out": {"x": 4, "y": 5}}, "id": "late"}'
    assert recovered(b'{"id": "early", "text": "abc', tail) == {
        "id": "early",
        "text": "abc",
        "n": {"a": 1, "b": 2},
        "usage": {"in": 3, "out": {"x": 4, "y": 5}},
    }
    assert recovered(b"", tail) == {"n": {"a": 1, "b": 2}, "usage": {"in": 3, "out": {"x": 4, "y": 5}}, "id": "late"}


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=4), min_size=1, max_size=5), st.data())
def test_items_of_an_array(items: list[dict[str, Any]], data: st.DataObject) -> None:
    """Those that are whole, in order, and where each ends."""
    text = orjson.dumps(items, option=orjson.OPT_INDENT_2)
    assert list(array_items(text)) == items
    ends = [item_end(text, number) for number in range(len(items))]
    assert ends == sorted(ends)
    assert all(text[end - 1 : end] == b"}" for end in ends)
    cut = data.draw(st.integers(0, len(text)))
    found = list(array_items(text[:cut]))
    assert found == items[: sum(end <= cut for end in ends)]
    assert item_end(text[:cut], len(found)) in (cut + 1, *ends)


def test_end_of_an_array() -> None:
    """Of the end, what is whole."""
    assert list(array_items(b'[{"a": 1}, {"b"', b'x": [{"c": 1}, {"d": 2}]}, {"e": 3}, {"f": 4}]')) == [
        {"a": 1},
        {"e": 3},
        {"f": 4},
    ]


def _brotli(data: bytes) -> bytes:
    brotli = pytest.importorskip("brotli", reason="brotli comes with the extra [proxy]")
    compressed: bytes = brotli.compress(data)
    return compressed


CODINGS: dict[str, Any] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "br": _brotli,
    "identity": bytes,
}


@pytest.mark.parametrize("coding", CODINGS)
def test_encodings(coding: str) -> None:
    """Each is undone, byte by byte as well; what is cut or damaged is read as far as it goes."""
    plain = json.dumps({"text": "The parcel is at customs. " * 50}).encode()
    packed = CODINGS[coding](plain)
    pieces = [packed[place : place + 1] for place in range(len(packed))]
    for chunks in ([packed], pieces):
        text = decoded(Body(chunks, [1] * len(chunks), len(packed), encoding=coding.upper()))
        assert text is not None
        assert (text.head, text.complete) == (plain, True)
    for end in range(len(packed)):
        part = decoded(Body([packed[:end]], [1], end, encoding=coding))
        assert part is not None
        assert plain.startswith(part.head)


def test_raw_deflate() -> None:
    """Some servers send the bare stream."""
    coder = zlib.compressobj(wbits=-15)
    packed = coder.compress(b'{"a": 1}') + coder.flush()
    text = decoded(Body([packed], [1], len(packed), encoding="deflate"))
    assert text is not None
    assert text.head == b'{"a": 1}'


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br"])
def test_bombs(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What grows beyond the bound is not read; memory stays near it."""
    monkeypatch.setattr(decoding, "DECODED_BYTES", 1 << 20)
    packed = CODINGS[coding](bytes(8 << 20))
    text = decoded(Body([packed], [1], len(packed), encoding=coding))
    assert text is not None
    assert not text.complete
    assert len(text.head) <= 1 << 20


def test_unknown_encoding() -> None:
    """Nothing is guessed."""
    assert decoded(Body([b"x"], [1], 1, encoding="compress")) is None
    assert decoded(Body([b"x"], [1], 1, encoding="gzip, br")) is None


def test_gap_in_a_compressed_body() -> None:
    """The end of a compressed body means nothing without its middle."""
    packed = gzip.compress(b'{"a": "b", "c": "d"}')
    text = decoded(Body([packed[:20], packed[-5:]], [1, 2], 100, gap=1, encoding="gzip"))
    assert text is not None
    assert (text.tail, text.complete) == (b"", False)
