"""The journals of one worker: opens them, shares the room on the disk among them, and reports how they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from untrace_pipeline.api import Host, Kind, Settings, StartError, Status
from untrace_plugins.extensions.file_storage.config import FileStorageConfig
from untrace_plugins.extensions.file_storage.directory import Directory, folder_name
from untrace_plugins.extensions.file_storage.journal import FileJournal
from untrace_plugins.extensions.file_storage.segment import Segment
from untrace_plugins.extensions.file_storage.shelf import Shelf
from untrace_plugins.extensions.file_storage.space import Space

if TYPE_CHECKING:
    from untrace_plugins.extensions.file_storage.crypt import Keys

__all__ = ["Journals", "segment_size"]

QUEUES = "queues"
SEGMENTS = 64
"""Segments that the size limit is divided into, at least: room comes back a segment at a time."""
SMALLEST_SEGMENT = 32 * 1024
LARGEST_SEGMENT = 32 * 1024 * 1024
MEMORY = 64 * 1024 * 1024
"""Bytes of records that all journals together keep in memory, so that they need not be read from the disk."""
MOST_MEMORY = 16 * 1024 * 1024
LEAST_MEMORY = 1024 * 1024
"""For one journal, however many there are."""
CLAIM_SECONDS = 10.0
"""After a start or a reload: queues that nobody has opened by then are told of."""


def segment_size(limit: int) -> int:
    """Return how large segments are where all queues together may be that large."""
    return min(max(limit // SEGMENTS, SMALLEST_SEGMENT), LARGEST_SEGMENT)


class Journals:
    """Keeps journals in ``<directory>/queues/<name>`` of the own directory, and finishes those of adopted ones."""

    def __init__(self, config: FileStorageConfig, settings: Settings) -> None:
        self._meter = settings.meter
        self._fsync = config.fsync
        self._limit = config.max_size
        self._logger = settings.logger
        self._keys: Keys | None = None
        self._directories: Sequence[Directory] = ()
        self._space = Space(config.max_size)
        self._open: dict[str, FileJournal] = {}
        self._failing: dict[str, str] = {}
        self._waiting: dict[str, int] = {}
        """Items in journals that were open before and are not now."""
        self._host: Host | None = None
        self._reminding: asyncio.Task[None] | None = None
        self._meter.gauge("file_storage_size_bytes").observe_with(lambda: self._space.used)
        self._meter.gauge("file_storage_capacity_bytes").observe_with(lambda: self._space.limit)
        self._commit_seconds = self._meter.histogram("file_storage_commit_seconds")

    def start(self, host: Host, directories: Sequence[Directory], keys: Keys | None) -> None:
        """Begin to open journals; the first directory is the own one."""
        self._host = host
        self._keys = keys
        self._directories = directories
        self._space = Space(self._limit // host.workers.count)
        self._remind_soon()

    async def close(self) -> None:
        """Close what is open."""
        self._host = None
        if self._reminding is not None:
            self._reminding.cancel()
        await asyncio.gather(*(journal.close() for journal in list(self._open.values())))

    def in_use(self, name: str) -> bool:
        """Return whether somebody in this process has the journal open."""
        return bool(self._directories) and self._directories[0].owned(name)

    async def open(self, name: str) -> FileJournal:
        """Return a journal, as soon as nobody else has it. Raises :class:`StartError`."""
        if self._host is None:
            msg = "it is not running"
            raise StartError(msg)
        own = self._directories[0]
        await own.own(name)
        try:
            shelves, segments = await self._load(name)
        except BaseException:
            own.disown(name)
            raise
        self._open[name] = FileJournal(
            name,
            shelves,
            segments,
            space=self._space,
            owner=self,
            logger=self._logger,
            reopened=name in own.seen,
        )
        own.seen.add(name)
        self._show_waiting(name, 0)
        return self._open[name]

    # ------------------------------------------------------------ as an owner

    @property
    def memory(self) -> int:
        """Bytes that each journal may keep in memory: less where there are many."""
        return max(min(MEMORY // max(len(self._open), 1), MOST_MEMORY), LEAST_MEMORY)

    def failing(self, journal: str, message: str) -> None:
        """Report that a journal does not take anything."""
        self._failing[journal] = message
        self._report(Status.RECOVERABLE_ERROR, f"{journal}: {message}")

    def working(self, journal: str) -> None:
        """Report that a journal works again, unless others do not."""
        if self._failing.pop(journal, None) is not None and not self._failing:
            self._report(Status.OK, "")

    def committed(self, seconds: float) -> None:
        """Count a commit."""
        self._commit_seconds.record(seconds)

    def closed(self, journal: str) -> None:
        """Let the next owner have a journal."""
        self.working(journal)
        self._show_waiting(journal, self._open.pop(journal).held.items)
        self._directories[0].disown(journal)
        self._remind_soon()

    def _show_waiting(self, journal: str, items: int) -> None:
        """Let the ledger see what lies in a journal that nobody has open: its component was taken away by a reload."""
        self._waiting[journal] = items
        kind, _, name = journal.partition("/")
        if kind == Kind.EXPORTER:
            self._meter.gauge("exporter_pending_items", exporter=name, state="queued").set(items)
        elif kind == Kind.PROCESSOR:  # one for each of its pipelines: ``processors/tail_sampling@traces/llm``
            prefix, _, _ = journal.rpartition("@")
            held = sum(waiting for other, waiting in self._waiting.items() if other.rpartition("@")[0] == prefix)
            self._meter.gauge("processor_pending_items", processor=name.rpartition("@")[0]).set(held)

    def _report(self, status: Status, message: str) -> None:
        if self._host is not None:
            self._host.report(status, message)

    # ------------------------------------------------------------- unclaimed

    def _remind_soon(self) -> None:
        """Tell of queues that nobody opens, once those that somebody wants have been opened."""
        if self._host is not None:
            if self._reminding is not None:
                self._reminding.cancel()
            self._reminding = self._host.spawn(self._remind(), name="tell of queues without an owner")

    async def _remind(self) -> None:
        await asyncio.sleep(CLAIM_SECONDS)
        claimed = {folder_name(name) for name in self._open}
        for path, size in await asyncio.to_thread(_filled, [one.path / QUEUES for one in self._directories]):
            if path.name not in claimed:
                self._logger.warning(
                    "the queue in %s (%d bytes) belongs to no component of this configuration: what it holds waits "
                    "until one of that name is back; remove the folder to give it up",
                    path,
                    size,
                )

    # ---------------------------------------------------------------- opening

    async def _load(self, name: str) -> tuple[list[Shelf], list[Segment]]:
        loading = asyncio.ensure_future(asyncio.to_thread(self._load_shelves, name))
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            _close_all((await loading)[0])
            raise
        except OSError as error:
            place = f" at {error.filename}" if error.filename else ""
            raise StartError(f"cannot open the queue {name}{place}: {error.strerror or error}") from error

    def _load_shelves(self, name: str) -> tuple[list[Shelf], list[Segment]]:
        """Return the open shelves of a journal, the own one first, and their segments, those of others first."""
        shelves: list[Shelf] = []
        segments: list[Segment] = []
        try:
            for number, directory in enumerate(self._directories):
                path = directory.path / QUEUES / folder_name(name)
                if number and not path.is_dir():
                    continue
                size = segment_size(self._space.limit)
                rank = _rank(directory.path, self._directories[0].path) if number else 0
                shelf = Shelf(path, self._logger, segment_size=size, fsync=self._fsync, rank=rank, keys=self._keys)
                found = shelf.open()
                shelves.append(shelf)
                segments = found + segments if number else segments + found
        except BaseException:
            _close_all(shelves)
            raise
        return shelves, segments


def _filled(folders: Sequence[Path]) -> list[tuple[Path, int]]:
    """Return the queues that hold segments, with their size."""
    queues = [queue for folder in folders if folder.is_dir() for queue in sorted(folder.iterdir())]
    sizes = [(queue, sum(file.stat().st_size for file in queue.glob("*.seg"))) for queue in queues]
    return [(queue, size) for queue, size in sizes if size]


def _rank(adopted: Path, own: Path) -> int:
    """Return a number for an adopted directory that is always the same: 1 for the one above, n + 2 for ``worker-n``."""
    return 1 if adopted == own.parent else int(adopted.name.rpartition("-")[2]) + 2


def _close_all(shelves: list[Shelf]) -> None:
    for shelf in shelves:
        shelf.close()
