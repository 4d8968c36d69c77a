"""The codec that is always there: protobuf's C backend (upb) for messages, plain Python for the wire around them."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError as ProtobufError

from untrace_pipeline.data.codecs.json_read import read_json
from untrace_pipeline.data.codecs.json_write import write_json
from untrace_pipeline.data.codecs.upb_schema import REQUESTS
from untrace_pipeline.data.codecs.upb_table import UpbTable
from untrace_pipeline.data.codecs.wire import MAX_MESSAGES, walk
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.errors import DecodeError

__all__ = ["UpbCodec"]


class UpbCodec:
    """:class:`~untrace_pipeline.data.Codec` over the classes of opentelemetry-proto.

    Differs from the Collector: strings that are not UTF-8 are refused, as protobuf demands; the Collector lets them
    through.
    """

    name = "upb"

    def count(self, signal: Signal, data: bytes) -> int:
        """See :meth:`Codec.count`."""
        return len(walk(signal, data)[-1])

    def table(self, signal: Signal, data: bytes) -> UpbTable:
        """See :meth:`Codec.table`."""
        return UpbTable(signal, data, _parse(signal, data))

    def from_json(self, signal: Signal, data: bytes) -> bytes:
        """See :meth:`Codec.from_json`."""
        request = REQUESTS[signal]()
        read_json(request, data)
        return request.SerializeToString()  # type: ignore[no-any-return]

    def to_json(self, signal: Signal, data: bytes) -> bytes:
        """See :meth:`Codec.to_json`; also raises :class:`DecodeError`."""
        return write_json(_parse(signal, data))


def _parse(signal: Signal, data: bytes) -> Any:
    if len(data) > MAX_MESSAGES:  # only a body larger than this can hold too many, empty ones take two bytes
        walk(signal, data)
    try:
        return REQUESTS[signal].FromString(data)
    except ProtobufError as error:
        walk(signal, data)  # names the place when a container is at fault
        msg = f"not an OTLP {signal} request: {error}"
        raise DecodeError(msg) from error
