"""Messages between the supervisor and one worker: a private socket pair that both ends watch for its end.

Each message is a JSON object behind its length (4 bytes, big-endian). JSON with Python's ``NaN`` and ``Infinity``,
because gauges may have such values. What one side sends is never waited for: messages are few, and whoever does not
read them is dead or about to be.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any, Self, TypeAlias

__all__ = ["Channel", "Message"]

Message: TypeAlias = dict[str, Any]
"""``kind`` says what it is; the other keys depend on it."""

_LENGTH = struct.Struct(">I")
MAX_BYTES = 128 * 1024 * 1024
"""Of one message: the largest holds the files of a configuration, of 32 MiB each at most, in base64."""


class Channel:
    """One end. The other end's death is the end of :meth:`receive`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Return a channel over one end of a socket pair, which it owns from now on."""
        end.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, kind: str, **fields: Any) -> None:
        """Send a message; nothing happens where the other end is gone."""
        if self._writer.is_closing():
            return
        body = json.dumps({"kind": kind, **fields}, separators=(",", ":")).encode()
        self._writer.write(_LENGTH.pack(len(body)) + body)

    async def receive(self) -> Message | None:
        """Return the next message, or ``None`` when the other end is gone or does not speak our language."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > MAX_BYTES:
                return None
            found = json.loads(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ValueError, OSError):
            return None
        return found if isinstance(found, dict) and "kind" in found else None

    async def flush(self, seconds: float) -> None:
        """Wait until what was sent is on its way, but not longer than that."""
        try:
            async with asyncio.timeout(seconds):
                await self._writer.drain()
        except (TimeoutError, OSError):
            return

    async def close(self) -> None:
        """Close this end, after what was sent. Safe twice."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return
