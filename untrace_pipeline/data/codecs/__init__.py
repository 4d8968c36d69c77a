"""The codecs, and which one is in use."""

from __future__ import annotations

from functools import cache

from untrace_pipeline.data.codec import Codec

__all__ = ["active_codec"]


@cache
def active_codec() -> Codec:
    """Return the codec of this process."""
    from untrace_pipeline.data.codecs.upb import UpbCodec  # noqa: PLC0415  loaded on first use: 15 ms of protobuf

    return UpbCodec()
