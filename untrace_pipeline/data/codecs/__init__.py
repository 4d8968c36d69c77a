"""The codecs, and which one is in use."""

from __future__ import annotations

from functools import cache

from untrace_pipeline import native as parts
from untrace_pipeline.data.codec import Codec

__all__ = ["active_codec"]


@cache
def active_codec() -> Codec:
    """Return the codec of this process. Raises :class:`PluginError` where a native one is forced and missing."""
    if parts.codec().is_native:
        from untrace_pipeline.data.codecs.native import NativeCodec  # noqa: PLC0415  only there is the extension needed

        return NativeCodec()
    from untrace_pipeline.data.codecs.upb import UpbCodec  # noqa: PLC0415  loaded on first use: 15 ms of protobuf

    return UpbCodec()
