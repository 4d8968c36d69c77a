"""The store of dead letters: one SQLite database for all exporters and all processes of a daemon."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from untrace_pipeline.api.component import Settings
from untrace_pipeline.api.config import format_duration
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery.dead_letters import changes, claims, queries
from untrace_pipeline.delivery.dead_letters.changes import Purged
from untrace_pipeline.delivery.dead_letters.claims import Replay
from untrace_pipeline.delivery.dead_letters.encoding import Cipher, LetterEncoding
from untrace_pipeline.delivery.dead_letters.file import LetterFile, Reader, describe
from untrace_pipeline.delivery.dead_letters.letter import Amount, FiledLetter, LetterFilter
from untrace_pipeline.delivery.dead_letters.watch import Watch
from untrace_pipeline.delivery.dead_letters.writer import Work, Writer
from untrace_pipeline.delivery.storage import DeadLetter
from untrace_pipeline.errors import Code, ConsumeError, PermanentError, RetryableError, StartError

__all__ = ["DeadLetterStore", "Limits"]

TEND_SECONDS = 10.0
"""Between two looks at what has grown too old, and at what other processes have changed."""
PAGE = 100
HURRY_SECONDS = 0.05
"""The same while there is more to remove than one transaction should."""
MESSAGE_LIMIT = 4096
"""Characters of a destination's answer that are kept."""
LEASE_SECONDS = 15.0
"""A claim of a replay that died ends after this time."""
RENEWALS = 4
"""Claims are renewed so many times in their lease."""

T = TypeVar("T")
ALL = LetterFilter()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept, and for how long."""

    max_bytes: int
    """Of the database, without its write-ahead log."""
    max_age: float
    """Seconds; 0 = for ever."""


class DeadLetterStore:
    """Implements :class:`~untrace_pipeline.delivery.storage.DeadLetters`, and what lists and replays them.

    The database is made by the first letter; reading makes nothing. Any number of stores, in any number of processes,
    may share it. All methods are coroutines that raise :class:`RetryableError` where the medium fails or is busy, and
    :class:`PermanentError` where the database is damaged or none of ours. The order of letters is that of their ids.
    """

    def __init__(
        self,
        path: Path,
        limits: Limits,
        settings: Settings,
        *,
        cipher: Cipher | None = None,
        fsync: bool = True,
        busy_timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._limits = limits
        self._clock = clock
        self._encoding = LetterEncoding(cipher)
        self._watch = Watch(settings)
        self._writer = Writer(LetterFile(path, busy_timeout, fsync=fsync), self._encoding, settings.logger, self._tend)
        self._reader = Reader(path, busy_timeout)
        self._reading = threading.Lock()

    async def start(self) -> None:
        """Begin to look after the database, if there is one: check and mend it, enforce the limits, show metrics.

        Returns before it was checked. Without a database the first letter begins. Raises :class:`StartError` for a file
        that is none of ours.
        """
        if not self.path.exists():
            return
        try:
            await self._read(lambda _: None)
        except PermanentError as error:
            if error.code is not Code.DATA_LOSS:
                raise StartError(str(error)) from error
        except RetryableError:
            pass  # whoever buries tries again
        self._begin()

    async def open(self) -> None:
        """Begin, and return when the database was checked and mended. For whoever changes it beside the daemon."""
        self._begin()
        await self._write(lambda _: None)

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters; returns when they are on the disk. Cancelled, it may have kept them or not.

        The oldest letters of all exporters give way where there is no room; a letter that is larger than the whole
        store is purged at once. Raises nothing but :class:`RetryableError`: what is wrong can be mended.
        """
        self._begin()
        try:
            rows = await asyncio.to_thread(lambda: [self._encoding.row(letter) for letter in letters])
        except StartError as error:  # of the cipher
            raise RetryableError(str(error)) from error
        limit = self._limits.max_bytes
        fitting = [row for row in rows if row.stored <= limit]
        need = sum(row.stored for row in fitting)
        purged = Purged()
        for letter, row in zip(letters, rows, strict=True):
            if row.stored > limit:
                purged[letter.exporter] += letter.items

        def work(connection: sqlite3.Connection) -> Purged:
            made = changes.make_room(connection, limit, need)
            changes.add(connection, fitting)
            self._watch.look(connection)
            return made

        try:
            purged.update(await self._write(work, weight=need, make=True))
        except PermanentError as error:
            raise RetryableError(str(error)) from error
        self._watch.purged(purged, "size", f"max_size of {limit} bytes")

    # ---------------------------------------------------------------- reading

    async def totals(self, chosen: LetterFilter = ALL) -> Mapping[tuple[str, str], Amount]:
        """Return how much there is, by exporter and reason."""
        return await self._read(lambda connection: queries.totals(connection, chosen)) or {}

    async def signals(self, chosen: LetterFilter = ALL) -> Mapping[tuple[str, Signal], Amount]:
        """Return how much there is, by exporter and signal."""
        return await self._read(lambda connection: queries.signals(connection, chosen)) or {}

    async def find(self, chosen: LetterFilter = ALL, *, after: int = 0, limit: int = PAGE) -> Sequence[FiledLetter]:
        """Return the oldest letters with a greater id than ``after``: a page after the other."""
        return await self._read(lambda c: queries.find(c, self._encoding, chosen, after=after, limit=limit)) or []

    async def newest_id(self) -> int:
        """Return the greatest id that was ever given: what comes later is not meant when people say "all"."""
        return await self._read(queries.newest_id) or 0

    async def payload(self, letter: FiledLetter) -> bytes | None:
        """Return the original request; ``None`` if the letter is gone.

        Raises :class:`PermanentError`: DATA_LOSS if it is damaged, FAILED_PRECONDITION if its key is not there.
        """
        return await self._read(lambda connection: queries.payload(connection, self._encoding, letter.id))

    # --------------------------------------------------------------- changing

    async def remove(self, ids: Sequence[int]) -> Amount:
        """Remove letters, and return what there was of them."""

        def work(connection: sqlite3.Connection) -> Amount:
            amount = changes.remove(connection, ids)
            self._watch.look(connection)
            return amount

        return await self._write(work) or Amount()

    async def give_back(self) -> None:
        """Return the space of what was removed to the file system."""
        while await self._write(changes.give_back):
            pass

    # -------------------------------------------------------------- replaying

    async def begin(self, chosen: LetterFilter) -> Replay:
        """Begin a run over the letters that are there now. Claims of a run last :data:`LEASE_SECONDS`."""
        until = await self._write(queries.newest_id) or 0
        return Replay(uuid.uuid4().hex, chosen, until, self._clock())

    async def claim(self, replay: Replay, *, after: int = 0, limit: int = 1) -> Sequence[FiledLetter]:
        """Claim the oldest letters of a run with a greater id than ``after`` that no other run has claimed or tried."""

        def work(connection: sqlite3.Connection) -> Sequence[FiledLetter]:
            now = self._clock()
            return claims.claim(
                connection, self._encoding, replay, after=after, limit=limit, now=now, lease=LEASE_SECONDS
            )

        return await self._write(work) or []

    async def claimed_by_others(self, replay: Replay) -> int:
        """Return how many letters of a run other runs have claimed; they come back when those die."""
        return await self._read(lambda connection: claims.claimed_by_others(connection, replay, self._clock())) or 0

    @asynccontextmanager
    async def lend(self, chosen: LetterFilter) -> AsyncIterator[Replay]:
        """Begin a run over letters; what it claims stays claimed until it ends, and is released then."""
        run = await self.begin(chosen)
        renewing = asyncio.create_task(self._keep_renewing(run), name="renew claims of dead letters")
        try:
            yield run
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            with suppress(ConsumeError):  # they end by themselves
                await self.release(run)

    async def _keep_renewing(self, run: Replay) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / RENEWALS)
            with suppress(ConsumeError):  # the next one may succeed, and is early enough
                await self.renew(run)

    async def renew(self, replay: Replay) -> None:
        """Keep what the run has claimed; to be called several times within :data:`LEASE_SECONDS`."""
        await self._write(lambda connection: claims.renew(connection, replay.owner, self._clock() + LEASE_SECONDS))

    async def release(self, replay: Replay) -> None:
        """End a run: what it has claimed may be claimed by others."""
        await self._write(lambda connection: claims.release(connection, replay.owner))

    async def keep(self, letter: FiledLetter, *, reason: str, error: ConsumeError, attempts: int = 1) -> None:
        """Write down that a claimed letter failed again; its run does not get it a second time."""
        code, message = error.code.name, (error.detail or str(error))[:MESSAGE_LIMIT]

        def work(connection: sqlite3.Connection) -> None:
            now = self._clock()
            claims.keep(
                connection,
                self._encoding,
                letter,
                reason=reason,
                code=code,
                message=message,
                attempts=attempts,
                now=now,
            )

        await self._write(work)

    async def close(self) -> None:
        """Write what was submitted, and close. Safe twice; a later use opens the store again."""
        await asyncio.to_thread(self._close)

    # --------------------------------------------------------------- internal

    def _begin(self) -> None:
        self._watch.begin()
        self._writer.start()

    async def _write(self, work: Work[T], *, weight: int = 0, make: bool = False) -> T | None:
        return await asyncio.wrap_future(self._writer.submit(work, weight=weight, make=make))

    async def _read(self, work: Work[T]) -> T | None:
        def read() -> T | None:
            with self._reading:
                try:
                    return self._reader.read(work)
                except Exception as error:
                    raise describe(error, self.path) from error

        return await asyncio.to_thread(read)

    def _close(self) -> None:
        with self._reading:
            self._reader.close()
        self._writer.close()  # the last to close the database takes its log away, and a reader cannot

    def _tend(self, file: LetterFile) -> float:
        """Remove what is too old or too much, in the thread of the writer."""
        limits = self._limits
        old, much, more = Purged(), Purged(), False
        with file.writing(make=False) as connection:
            if connection is not None:
                if limits.max_age:
                    old = changes.expire(connection, self._clock() - limits.max_age)
                much = changes.make_room(connection, limits.max_bytes)
                more = changes.give_back(connection) or bool(old or much)
                self._watch.look(connection)
        self._watch.purged(old, "age", f"max_age of {format_duration(limits.max_age)}")
        self._watch.purged(much, "size", f"max_size of {limits.max_bytes} bytes")
        return HURRY_SECONDS if more else TEND_SECONDS
