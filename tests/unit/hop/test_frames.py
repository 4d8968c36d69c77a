"""Frames survive any cutting of the stream, and whatever is no frame is noticed."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.hop.frames import MAX_BYTES, Decoder, Frame, FrameError, FrameKind, encode

FRAMES = st.builds(
    Frame, st.sampled_from(FrameKind), st.integers(0, 2**32 - 1), st.binary(max_size=50), st.binary(max_size=300)
)


def stream_of(*frames: Frame) -> bytes:
    """Return what is written for some frames."""
    return b"".join(piece for frame in frames for piece in encode(frame))


@given(frames=st.lists(FRAMES, max_size=10), data=st.data())
def test_any_frames_cut_anywhere(frames: list[Frame], data: st.DataObject) -> None:
    """What one end encodes the other decodes, however the kernel cuts it."""
    stream = stream_of(*frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder = Decoder()
    found: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += decoder.feed(stream[start:end])
    assert found == frames


@given(frame=FRAMES, cut=st.integers(0, 362))
def test_half_a_frame_is_none(frame: Frame, cut: int) -> None:
    """Nothing comes out before the last byte has come in."""
    stream = stream_of(frame)
    decoder = Decoder()
    assert decoder.feed(stream[: min(cut, len(stream) - 1)]) == []
    assert decoder.feed(stream[min(cut, len(stream) - 1) :]) == [frame]


@given(data=st.binary(min_size=13, max_size=200))
def test_noise(data: bytes) -> None:
    """Arbitrary bytes give frames, wait for more, or are refused; nothing else happens."""
    try:
        frames = Decoder().feed(data)
    except FrameError:
        return
    assert all(isinstance(frame.kind, FrameKind) for frame in frames)


@pytest.mark.parametrize("header", [struct.pack(">IIBI", 0, 0, 0, 1), struct.pack(">IIBI", 0, 0, 99, 1)])
def test_unknown_kinds_are_refused(header: bytes) -> None:
    """Another language is noticed at the first frame."""
    with pytest.raises(FrameError):
        Decoder().feed(header)


def test_frames_are_bounded() -> None:
    """A length beyond the bound is refused before anything of that size is kept."""
    with pytest.raises(FrameError):
        Decoder().feed(struct.pack(">IIBI", 1, MAX_BYTES, FrameKind.REQUEST, 1))
