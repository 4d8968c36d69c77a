"""The ``otlp_json_file`` receiver: looks for files, reads them one after the other, waits until lines are accepted."""

from __future__ import annotations

import asyncio
import glob
import os
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from untrace_pipeline.api import Counter, DecodeError, Host, Intake, PermanentError, RetryableError, Settings, Status
from untrace_pipeline.data import Batch, Context, Level, Signal, attribute
from untrace_plugins.receivers.otlp_json_file.config import OtlpJsonFileConfig, StartAt
from untrace_plugins.receivers.otlp_json_file.tail import Line, Tail, open_tail

__all__ = ["OtlpJsonFileReceiver"]

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
"""Bounds of the wait before a refused line is offered again, where whoever refused did not say how long."""
_KEYS = {b"resourceSpans": Signal.TRACES, b"resourceMetrics": Signal.METRICS, b"resourceLogs": Signal.LOGS}
_FIRST_KEY = re.compile(rb'\s*\{\s*"(resourceSpans|resourceMetrics|resourceLogs)"\s*:')

Identity = tuple[int, int]


class OtlpJsonFileReceiver:
    """Reads files; one task does everything."""

    def __init__(self, config: OtlpJsonFileConfig, settings: Settings, next: Intake) -> None:
        self._config = config
        self._settings = settings
        self._logger = settings.logger
        self._next = next
        self._tails: dict[Identity, Tail] = {}
        self._looking = threading.Lock()
        self._closed = False
        self._unreadable: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._host: Host | None = None

    async def start(self, host: Host) -> None:
        """Take the positions in the files that are there, and begin to read."""
        self._host = host
        await asyncio.to_thread(self._look, self._config.start_at is StartAt.END)
        self._task = host.spawn(self._run(), name=f"{self._settings.id}: reading files")

    async def shutdown(self) -> None:
        """Stop reading; lines that were not accepted yet count as unread."""
        task, self._task = self._task, None
        try:
            if task is not None:
                task.cancel()
                await asyncio.wait({task})  # if it failed, the host has said so
        finally:
            await asyncio.to_thread(self._close)

    # ------------------------------------------------------------------ files

    async def _run(self) -> None:
        while True:
            for tail in list(self._tails.values()):
                await self._read(tail)
            await asyncio.sleep(self._config.poll_interval)
            for identity in await asyncio.to_thread(self._look, False):
                await self._part_with(identity)

    async def _part_with(self, identity: Identity) -> None:
        """Close a file that is gone, after what was written before it went."""
        tail = self._tails[identity]
        if tail.outlives_path:
            await self._read(tail)
        self._tails.pop(identity).close()

    def _look(self, from_end: bool) -> set[Identity]:
        """Open new files; return those that are gone."""
        present: set[Identity] = set()
        with self._looking:
            for path in () if self._closed else self._paths():
                with suppress(FileNotFoundError):
                    status = os.stat(path)
                    identity = (status.st_dev, status.st_ino)
                    present.add(identity)
                    if identity in self._tails:
                        self._tails[identity].path = path
                    else:
                        self._open(path, identity, from_end)
            return self._tails.keys() - present

    def _close(self) -> None:
        """Close all files, after a look that goes on in its thread although the task was cancelled."""
        with self._looking:
            self._closed = True
            for tail in self._tails.values():
                tail.close()
            self._tails.clear()

    def _paths(self) -> list[str]:
        def matching(patterns: Sequence[str]) -> set[str]:
            return {path for pattern in patterns for path in glob.iglob(pattern, recursive=True)}

        found = matching(self._config.include) - matching(self._config.exclude)
        return sorted(path for path in found if os.path.isfile(path))

    def _open(self, path: str, identity: Identity, from_end: bool) -> None:
        try:
            tail = open_tail(path, self._config.max_log_size)
            if from_end:
                tail.skip_to_end()
        except OSError as error:
            self._complain(path, error)
            return
        self._tails[identity] = tail
        self._unreadable.discard(path)

    def _complain(self, path: str, error: OSError) -> None:
        """Log a file that cannot be read, once until it can."""
        if path not in self._unreadable:
            self._unreadable.add(path)
            self._logger.warning("%s cannot be read and is tried again later: %s", path, error)

    async def _read(self, tail: Tail) -> None:
        """Read a file to its end."""
        while True:
            try:
                block = await asyncio.to_thread(tail.read)
            except OSError as error:
                self._complain(tail.path, error)
                return
            if not block.lines and block.end == tail.offset:
                if self._config.replay_file:
                    tail.rewind()
                return
            await asyncio.gather(*(self._deliver(tail.path, line) for line in block.lines))
            tail.advance(block)

    # ------------------------------------------------------------------ lines

    async def _deliver(self, path: str, line: Line) -> None:
        """Offer a line until it is accepted, or will never be."""
        if line.too_long:
            self._skip(path, line, "too_long", f"longer than max_log_size ({self._config.max_log_size} bytes)")
            return
        if not line.data.strip():
            return
        try:
            signal = _signal_of(line.data)
        except DecodeError as error:
            self._skip(path, line, "malformed", str(error))
            return
        if signal in self._settings.signals:
            await self._offer(signal, path, line)
        else:
            self._count("no_pipeline").add()

    async def _offer(self, signal: Signal, path: str, line: Line) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                self._next.admit(len(line.data))
                batch = Batch.from_json(signal, line.data, Context(transport="file", peer=path))
                if batch.item_count:
                    self._mark(batch, path)
                    await self._next.consume(batch)
            except RetryableError as error:
                delay = error.retry_after or wait  # 0 is no wish: it would keep the event loop busy
                self._report(Status.RECOVERABLE_ERROR, f"{path} waits: {error}")
                await asyncio.sleep(delay)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            except PermanentError as error:
                reason = "malformed" if isinstance(error, DecodeError) else "refused"
                self._skip(path, line, reason, str(error))
                return
            else:
                if wait > FIRST_WAIT_SECONDS:
                    self._report(Status.OK, "")
                return

    def _mark(self, batch: Batch, path: str) -> None:
        """Say which file the items came from, in the places where the Collector does."""
        level = Level.METRIC if batch.signal is Signal.METRICS else Level.ITEM
        if self._config.include_file_name:
            batch.set(attribute("log.file.name", level), [Path(path).name] * batch.row_count(level))
        if self._config.include_file_path:
            batch.set(attribute("log.file.path", level), [path] * batch.row_count(level))

    def _report(self, status: Status, message: str) -> None:
        if self._host is not None:
            self._host.report(status, message)

    def _skip(self, path: str, line: Line, reason: str, why: str) -> None:
        self._count(reason).add()
        self._logger.error("%s:%d (byte %d) is skipped: %s", path, line.number, line.offset, why)

    def _count(self, reason: str) -> Counter:
        return self._settings.meter.counter("receiver_skipped_lines", reason=reason)


def _signal_of(data: bytes) -> Signal:
    """Tell the signal by the top-level key. Raises :class:`DecodeError`."""
    first = _FIRST_KEY.match(data)
    if first:
        return _KEYS[first[1]]
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        msg = f"no JSON: {error}"
        raise DecodeError(msg) from error
    for key, signal in _KEYS.items():
        if isinstance(content, dict) and key.decode() in content:
            return signal
    msg = f"no OTLP: none of {', '.join(key.decode() for key in _KEYS)} is there"
    raise DecodeError(msg)
