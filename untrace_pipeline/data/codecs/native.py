"""The codec in Rust, from the distribution ``untrace-pipeline-native``; see ``docs/decisions/0008``.

It takes requests in the form that every known encoder writes. What is legal but odd goes to the upb codec, which stays
the definition of what OTLP is.
"""

from __future__ import annotations

from functools import cache

import untrace_pipeline_native as native

from untrace_pipeline.data.codec import Codec, Table
from untrace_pipeline.data.signal import Signal

__all__ = ["NativeCodec"]


class NativeCodec:
    """:class:`~untrace_pipeline.data.Codec` in Rust; equal to the upb codec in everything but speed."""

    name = "native"

    def count(self, signal: Signal, data: bytes) -> int:
        """See :meth:`Codec.count`."""
        found = native.count(signal, data)
        return _upb().count(signal, data) if found is None else found

    def table(self, signal: Signal, data: bytes) -> Table:
        """See :meth:`Codec.table`."""
        return native.decode(signal, data) or _upb().table(signal, data)

    def from_json(self, signal: Signal, data: bytes) -> bytes:
        """See :meth:`Codec.from_json`."""
        found = native.from_json(signal, data)
        return _upb().from_json(signal, data) if found is None else found

    def to_json(self, signal: Signal, data: bytes) -> bytes:
        """See :meth:`Codec.to_json`."""
        found = native.to_json(signal, data)
        return _upb().to_json(signal, data) if found is None else found


@cache
def _upb() -> Codec:
    """Return the upb codec; loading protobuf takes 15 ms and memory, which many processes never need."""
    from untrace_pipeline.data.codecs.upb import UpbCodec  # noqa: PLC0415  see above

    return UpbCodec()
