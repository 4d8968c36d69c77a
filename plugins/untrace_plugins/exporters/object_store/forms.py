"""From a batch to the bytes of an object, and what to say of them. Blocking: run it in a thread."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass

from untrace_pipeline.data import Batch
from untrace_plugins.exporters.object_store.config import Compression, Format, ObjectStoreConfig

__all__ = ["Form", "form_of"]

LINE_BYTES = 1024 * 1024
"""About how much goes into one line of JSON, as protobuf: readers hold a line in memory."""
_LEVELS = {Compression.NONE: 0, Compression.GZIP: 6, Compression.ZSTD: 3}


@dataclass(frozen=True, slots=True)
class Form:
    """How objects are written."""

    extension: str
    content_type: str
    content_encoding: str
    encode: Callable[[Batch], bytes]
    """Raises :class:`DecodeError` for what is no OTLP."""


def form_of(config: ObjectStoreConfig) -> Form:
    """Return the form that the options name. Raises ``ImportError`` for Parquet without its library."""
    level = config.compression_level or _LEVELS[config.compression]
    if config.format is Format.PARQUET:
        from untrace_plugins.exporters.object_store.parquet import ParquetWriter  # noqa: PLC0415

        codec = config.compression.value
        return Form(".parquet", "application/vnd.apache.parquet", "", ParquetWriter(codec, level or None))
    json = config.format is Format.OTLP_JSON
    encode = _json_lines if json else Batch.to_otlp
    extension, kind = (".json", "application/x-ndjson") if json else (".binpb", "application/x-protobuf")
    match config.compression:
        case Compression.NONE:
            return Form(extension, kind, "", encode)
        case Compression.GZIP:
            return Form(f"{extension}.gz", kind, "gzip", lambda batch: _gzip(encode(batch), level))
        case Compression.ZSTD:
            return Form(f"{extension}.zst", kind, "zstd", lambda batch: _zstd(encode(batch), level))


def _json_lines(batch: Batch) -> bytes:
    """Return OTLP JSON, one request per line, as the receiver ``otlp_json_file`` and the Collector's read it."""
    return b"".join([part.to_json() + b"\n" for part in batch.split(max_bytes=LINE_BYTES)])


def _gzip(data: bytes, level: int) -> bytes:
    return gzip.compress(data, level, mtime=0)


def _zstd(data: bytes, level: int) -> bytes:
    import zstandard  # noqa: PLC0415  loaded only where it is used

    return zstandard.ZstdCompressor(level).compress(data)
