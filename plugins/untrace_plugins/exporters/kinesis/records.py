"""From a batch to records: key and bytes, none of them too large, in calls that are not too large. Pure."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.delivery import Request
from untrace_pipeline.errors import OversizeError
from untrace_plugins.exporters.kinesis.config import Compression, Encoding, KinesisConfig, PartitionKey

__all__ = ["Packer", "Record"]

TRACE_ID = Field(Level.ITEM, "trace_id")


@dataclass(frozen=True, slots=True)
class Record:
    """One record, and what it carries."""

    key: str
    data: bytes
    part: Batch

    @property
    def byte_size(self) -> int:
        """What counts against the service's limits."""
        return len(self.key) + len(self.data)


class Packer:
    """Makes records as the options say. Blocking: run it in a thread."""

    def __init__(self, config: KinesisConfig) -> None:
        self._config = config
        self._by_trace = config.partition_key is PartitionKey.TRACE_ID
        self._compress = _COMPRESSORS[config.encoding.compression]

    def pack(self, request: Request) -> list[list[Record]]:
        """Return the records of a request, as many lists as calls are needed.

        Raises :class:`OversizeError` if an item alone is too large, :class:`DecodeError` for what is no OTLP.
        """
        batch = request.batch
        # A handle of its own: what is decoded here must not stay in memory with the request.
        apart = Batch(batch.signal, batch.to_otlp(), batch.context)
        number = 0
        records = []
        for trace, part in self._parts(apart):
            for piece, data in self._fitting(part):
                records.append(Record(trace or _any_key(request.key, number), data, piece))
                number += 1
        return list(self._calls(records))

    def _parts(self, batch: Batch) -> Iterator[tuple[str, Batch]]:
        """Yield parts of a batch with the hexadecimal id of their trace, empty where they have none."""
        if not self._by_trace or batch.signal is Signal.METRICS:
            yield "", batch
            return
        ids = [trace.hex() if isinstance(trace, bytes) else "" for trace in batch.column(TRACE_ID)]
        for trace, part in batch.partition(ids).items():
            yield str(trace), part

    def _fitting(self, part: Batch) -> Iterator[tuple[Batch, bytes]]:
        """Yield a part, or its halves, with their bytes."""
        limit = self._config.max_record_size - _KEY_BYTES
        data = self._encode(part)
        if len(data) <= limit:
            yield part, data
        elif part.item_count > 1:
            for half in part.split(max_items=(part.item_count + 1) // 2):
                yield from self._fitting(half)
        else:
            msg = f"one item makes a record of {len(data)} bytes, more than max_record_size allows ({limit})"
            raise OversizeError(msg)

    def _encode(self, part: Batch) -> bytes:
        proto = self._config.encoding.name is Encoding.OTLP_PROTO
        return self._compress(part.to_otlp() if proto else part.to_json())

    def _calls(self, records: Sequence[Record]) -> Iterator[list[Record]]:
        call: list[Record] = []
        size = 0
        for record in records:
            full = len(call) == self._config.max_records_per_batch
            if call and (full or size + record.byte_size > self._config.max_request_size):
                yield call
                call, size = [], 0
            call.append(record)
            size += record.byte_size
        if call:
            yield call


_KEY_BYTES = 32
"""Every key is 16 bytes in hexadecimal."""


def _any_key(request: str, number: int) -> str:
    """Return a key that spreads records over the shards, and is the same at every attempt."""
    return hashlib.blake2b(f"{request}/{number}".encode(), digest_size=_KEY_BYTES // 2).hexdigest()


def _flate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def _zstd(data: bytes) -> bytes:
    import zstandard  # noqa: PLC0415  loaded only where it is used

    return zstandard.ZstdCompressor().compress(data)


_COMPRESSORS: Mapping[Compression, Callable[[bytes], bytes]] = {
    Compression.NONE: lambda data: data,
    Compression.GZIP: lambda data: gzip.compress(data, 6, mtime=0),
    Compression.ZLIB: zlib.compress,
    Compression.FLATE: _flate,
    Compression.ZSTD: _zstd,
}
