"""The exporter ``file``."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

from untrace_pipeline.api import Host, Settings, StartError
from untrace_pipeline.delivery import DELIVERED, Delivery, Outcome, Request
from untrace_plugins.exporters.file.config import FileCompression, FileConfig, Format
from untrace_plugins.exporters.file.writer import FileWriter

__all__ = ["FileExporter"]

_LENGTH = struct.Struct(">I")

_opened: set[Path] = set()
"""Files that this process has written to: what a reload opens again must not be emptied."""


class FileExporter:
    """Writes one record per request, in order, in a thread."""

    def __init__(self, config: FileConfig, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._path = Path(config.path)
        self._json = config.format is Format.JSON
        self._zstd = config.compression is FileCompression.ZSTD
        self._writer = FileWriter(self._path, config.rotation)
        self._delivery = Delivery(config, self, settings)
        self.consume = self._delivery.consume
        self.admit = self._delivery.admit
        self.pending_items = self._delivery.pending_items

    @property
    def destination(self) -> str:
        """The path."""
        return self._config.path

    async def start(self, host: Host) -> None:
        """Open the file. Raises :class:`StartError` where that is not possible."""
        try:
            await asyncio.to_thread(self._open)
        except OSError as error:
            hint = ""
            if isinstance(error, FileNotFoundError):
                hint = "; create_directory: true would create its directory"
            msg = f"exporter {self._settings.id}: cannot write to {self._path}: {error.strerror}{hint}"
            raise StartError(msg) from error
        await self._delivery.start(host)

    async def send(self, request: Request) -> Outcome:
        """Write one request. A full disk, or any other ``OSError``, is worth another attempt."""
        await asyncio.to_thread(self._write, request)
        return DELIVERED

    async def shutdown(self) -> None:
        """Write what is left, then close the file."""
        try:
            await self._delivery.shutdown()
        finally:
            await asyncio.to_thread(self._writer.close)

    def _open(self) -> None:
        config = self._config
        if config.create_directory:
            mode = int(config.directory_permissions, 8)
            self._path.parent.mkdir(mode, parents=True, exist_ok=True)
        path = self._path.absolute()
        self._writer.open(empty=not config.append and config.rotation is None and path not in _opened)
        _opened.add(path)

    def _write(self, request: Request) -> None:
        data = request.batch.to_json() if self._json else request.batch.to_otlp()
        if self._zstd:
            data = _compress(data)
        framed = not self._json or self._zstd
        self._writer.write(_LENGTH.pack(len(data)) + data if framed else data + b"\n")


def _compress(data: bytes) -> bytes:
    import zstandard  # noqa: PLC0415  loaded only where it is used

    return zstandard.ZstdCompressor().compress(data)
