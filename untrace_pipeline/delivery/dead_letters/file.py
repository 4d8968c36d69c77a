"""The database file: opened when it is needed, shared by processes, moved aside when it is damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from untrace_pipeline.delivery.dead_letters import schema
from untrace_pipeline.delivery.dead_letters.lock import FileLock, give_to_owner
from untrace_pipeline.errors import Code, ConsumeError, PermanentError, RetryableError, UntraceError

__all__ = ["DamagedError", "LetterFile", "Reader", "describe"]

QUARANTINE = "quarantine"
"""Subdirectory of the database's for those that were damaged."""
_PARTS = ("", "-wal", "-shm")
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_MASK = 0xFF
"""Of a result code of SQLite: the rest is detail."""

T = TypeVar("T")


class DamagedError(Exception):
    """The database cannot be read as it is. Never leaves this package."""


def describe(error: Exception, path: Path) -> ConsumeError:
    """Return what an error of SQLite or of the operating system means for whoever wanted to read or write."""
    if isinstance(error, ConsumeError):
        return error
    if isinstance(error, sqlite3.Error):
        text = str(error)
    else:
        text = (isinstance(error, OSError) and error.strerror) or str(error)
    msg = f"dead letters in {path}: {text}"
    if isinstance(error, DamagedError):
        return PermanentError(msg, code=Code.DATA_LOSS)
    if isinstance(error, OSError | sqlite3.OperationalError):
        return RetryableError(msg)
    if isinstance(error, UntraceError):
        return PermanentError(msg)
    return PermanentError(f"{msg} ({type(error).__name__})")


@contextlib.contextmanager
def _damage_told() -> Iterator[None]:
    """Raise :class:`DamagedError` instead of SQLite's errors that mean so."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & _MASK in _DAMAGE:
            raise DamagedError(str(error)) from error
        raise


class LetterFile:
    """Writes to the database, for one thread at a time. Several objects and processes may do so at once."""

    def __init__(self, path: Path, busy_timeout: float = 5.0, *, fsync: bool = True) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._fsync = fsync
        self._lock = FileLock(path.with_name(f"{path.name}.lock"), busy_timeout)
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    @contextlib.contextmanager
    def writing(self, *, make: bool = True) -> Iterator[sqlite3.Connection | None]:
        """Run a transaction: committed and on the disk at the end, rolled back if an error leaves the block.

        Without ``make``, a database that does not exist is not made, and there is no connection.
        Raises :class:`DamagedError`, ``sqlite3.Error``, ``OSError``, or :class:`PermanentError` for a foreign file.
        """
        if not make and not self.path.exists():
            yield None
            return
        if not self.path.exists():
            with self._lock.held(alone=True):
                self._make()
        with self._lock.held(alone=False), _damage_told():
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk may have ended it already
                    connection.execute("ROLLBACK")
                raise

    def check(self) -> None:
        """Read the whole database. Raises :class:`DamagedError` with the first thing that is wrong."""
        if not self.path.exists():
            return
        with _damage_told():
            with self._lock.held(alone=False):
                connection = self._open()
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise DamagedError(" ".join(str(found).split()))

    def exchange(self, first_id: Callable[[Path], int]) -> Path | None:
        """Move a damaged database into quarantine and make an empty one; return where the old one lies now.

        ``first_id`` says, given the old one, how the new one is to number its letters. ``None``: another process has
        been quicker. Raises ``OSError``.
        """
        identity = self._identity
        self.close()
        with self._lock.held(alone=True):
            if identity is not None and identity != _identity(self.path):
                return None
            directory = self.path.parent / QUARANTINE
            directory.mkdir(mode=0o700, exist_ok=True)
            give_to_owner(directory)
            stamp = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            target = directory / f"{self.path.stem}-{stamp}{self.path.suffix}"
            for part in reversed(_PARTS):  # the database last: without its log it would be taken for whole
                with contextlib.suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + part).rename(f"{target}{part}")
            self._make(first_id(target))
        return target

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        self._lock.close()

    def _make(self, first_id: int = 1) -> None:
        """Make an empty database beside, and give it its name when it is complete."""
        if self.path.exists():
            return
        fresh = self.path.with_name(f"{self.path.name}.new")
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        give_to_owner(fresh)
        schema.create(fresh, first_id)
        fresh.rename(self.path)
        _sync_directory(self.path.parent)

    def _open(self) -> sqlite3.Connection:
        """Return the connection, a new one where the file was exchanged."""
        identity = _identity(self.path)
        if self._connection is not None and identity == self._identity:
            return self._connection
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._identity = identity
        connection = schema.connect(self.path, "rw", self._busy_timeout, fsync=self._fsync)
        try:
            _refuse_foreign(connection, self.path)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection


class Reader:
    """Reads the database, for one thread at a time. Makes nothing, and holds nobody up."""

    def __init__(self, path: Path, busy_timeout: float = 5.0) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._connection: sqlite3.Connection | None = None
        self._seen: object = None

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what ``work`` reads, ``None`` if there is no database; it may be called a second time.

        While nobody has the database open, it is read as it lies there: opening it in the usual way would leave files
        behind. If somebody opens or exchanges it meanwhile, what was read is forgotten and read again.
        Raises :class:`DamagedError`, ``sqlite3.Error``, ``OSError``, or :class:`PermanentError` for a foreign file.
        """
        while True:
            before = self._state()
            if before is None:
                self.close()
                return None
            try:
                with _damage_told():
                    found = work(self._open(before))
            except (DamagedError, sqlite3.Error):
                if self._state() == before:
                    raise
            else:
                if self._state() == before:
                    return found

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _state(self) -> tuple[object, bool] | None:
        """Return what tells whether the file was changed or exchanged, and whether somebody has it open."""
        live = self.path.with_name(f"{self.path.name}-wal").exists()
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        identity = (status.st_dev, status.st_ino)
        return (identity if live else (*identity, status.st_mtime_ns, status.st_size)), live

    def _open(self, state: tuple[object, bool]) -> sqlite3.Connection:
        if self._connection is not None and self._seen == state:
            return self._connection
        self.close()
        self._seen = state
        mode = "ro" if state[1] else "ro&immutable=1"
        connection = schema.connect(self.path, mode, self._busy_timeout)
        try:
            connection.execute("PRAGMA query_only = ON")
            _refuse_foreign(connection, self.path)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    if not schema.is_ours(connection):
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise PermanentError(f"{path} is a database of something else, and is left alone: name another directory")
        raise DamagedError("the file is empty")
    found = schema.version(connection)
    if found > schema.VERSION:
        msg = (
            f"{path} was made by a newer version of untrace-pipeline (tables of version {found}, here {schema.VERSION})"
        )
        raise PermanentError(msg)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
