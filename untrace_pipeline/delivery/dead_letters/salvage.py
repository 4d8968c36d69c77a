"""Saves what can be read of a damaged database."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from untrace_pipeline.delivery.dead_letters import schema
from untrace_pipeline.delivery.dead_letters.encoding import LetterEncoding
from untrace_pipeline.delivery.dead_letters.file import LetterFile
from untrace_pipeline.errors import Code, PermanentError

__all__ = ["next_id", "salvage"]

CHUNK_IDS = 256
"""Letters that are read at once while all is well, and one by one where it is not."""
EMPTY_CHUNKS = 40_000
"""After so many chunks without a letter there is none further down: about a third of a second."""
STEP_BYTES = 16 * 1024 * 1024
"""Written in one transaction: others want to bury meanwhile."""

_IN_TABLES = (
    "SELECT max(id) FROM letters",
    "SELECT max(id) FROM payloads",
    "SELECT max(rowid) FROM letters INDEXED BY letters_by_reason WHERE reason >= ''",
)
_EVER = "SELECT max(seq) FROM sqlite_sequence"
_LETTERS = "SELECT letters.*, payloads.data FROM letters JOIN payloads USING (id) WHERE letters.id BETWEEN ? AND ?"


def next_id(damaged: Path) -> int:
    """Return an id that no letter of a damaged database has or had, as far as that can be read."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(schema.connect(damaged, "ro", 0.0)) as connection:
        return max(_answers(connection, (*_IN_TABLES, _EVER)), default=0) + 1
    return 1


def salvage(damaged: Path, fresh: LetterFile, encoding: LetterEncoding) -> tuple[int, int]:
    """Copy letters whose payload is sound; return how many, and how many are seen to be there and cannot be saved."""
    saved = lost = size = 0
    waiting: list[sqlite3.Row] = []
    for row in _rows(damaged):
        if row is None or not _is_sound(row, encoding):
            lost += 1
            continue
        waiting.append(row)
        size += len(row["data"])
        if size >= STEP_BYTES:
            saved += _write(fresh, waiting)
            waiting, size = [], 0
    return saved + _write(fresh, waiting), lost


def _answers(connection: sqlite3.Connection, questions: tuple[str, ...]) -> list[int]:
    found = []
    for question in questions:
        with contextlib.suppress(sqlite3.Error):
            found.append(int(connection.execute(question).fetchone()[0] or 0))
    return found


def _rows(damaged: Path) -> Iterator[sqlite3.Row | None]:
    """Yield letters with their payloads, newest first; ``None`` for one that is there and cannot be read."""
    try:
        connection = schema.connect(damaged, "ro", 0.0)
    except sqlite3.Error:
        return
    with contextlib.closing(connection):
        last = max(_answers(connection, _IN_TABLES) or _answers(connection, (_EVER,)), default=0)
        empty = 0
        while last > 0 and empty < EMPTY_CHUNKS:
            first = max(1, last - CHUNK_IDS + 1)
            found = list(_chunk(connection, first, last))
            yield from found
            empty = 0 if found else empty + 1
            last = first - 1


def _chunk(connection: sqlite3.Connection, first: int, last: int) -> Iterator[sqlite3.Row | None]:
    try:
        yield from connection.execute(_LETTERS, (first, last)).fetchall()
    except sqlite3.Error:
        for id in range(last, first - 1, -1):  # noqa: A001  the word of the domain
            try:
                yield from connection.execute(_LETTERS, (id, id)).fetchall()
            except sqlite3.Error:
                yield None


def _is_sound(row: sqlite3.Row, encoding: LetterEncoding) -> bool:
    try:
        encoding.letter(row)
        encoding.payload(row["id"], bytes(row["data"]), row["encoding"], row["bytes"], row["crc"])
    except PermanentError as error:
        return error.code is Code.FAILED_PRECONDITION  # it may be sound: its key is not here
    except (ValueError, TypeError):
        return False
    return True


def _write(fresh: LetterFile, rows: list[sqlite3.Row]) -> int:
    """Add letters with the ids that they had."""
    with fresh.writing() as connection:
        assert connection is not None
        for row in rows:
            names = [name for name in row.keys() if name not in {"data", "claimed_by", "claimed_until"}]  # noqa: SIM118
            values = [row[name] for name in names]
            marks = ", ".join("?" * len(names))
            connection.execute(f"INSERT OR IGNORE INTO letters ({', '.join(names)}) VALUES ({marks})", values)
            connection.execute("INSERT OR IGNORE INTO payloads VALUES (?, ?)", (row["id"], row["data"]))
    return len(rows)
