"""What is asked of the database. Every function takes a connection, in or out of a transaction, and is short."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

from untrace_pipeline.data import Signal
from untrace_pipeline.delivery.dead_letters.encoding import LetterEncoding
from untrace_pipeline.delivery.dead_letters.file import DamagedError
from untrace_pipeline.delivery.dead_letters.letter import Amount, FiledLetter, LetterFilter

__all__ = ["find", "letters_of", "newest_id", "payload", "signals", "totals", "used_bytes"]

Totals = Mapping[tuple[str, str], Amount]
"""By exporter and reason."""


def totals(connection: sqlite3.Connection, chosen: LetterFilter) -> Totals:
    """Return how much there is; without conditions in constant time."""
    if not chosen:
        rows = connection.execute("SELECT exporter, reason, letters, items, bytes FROM totals WHERE letters > 0")
    else:
        where, values = chosen.where()
        rows = connection.execute(
            "SELECT exporter, reason, count(*), sum(items), sum(bytes) FROM letters "
            f"WHERE {where} GROUP BY exporter, reason",
            values,
        )
    return {(row[0], row[1]): Amount(row[2], row[3], row[4]) for row in rows}


def signals(connection: sqlite3.Connection, chosen: LetterFilter) -> Mapping[tuple[str, Signal], Amount]:
    """Return how much there is by exporter and signal."""
    where, values = chosen.where()
    rows = connection.execute(
        f"SELECT exporter, signal, count(*), sum(items), sum(bytes) FROM letters WHERE {where} "
        "GROUP BY exporter, signal",
        values,
    )
    return {(row[0], Signal(row[1])): Amount(row[2], row[3], row[4]) for row in rows}


def find(
    connection: sqlite3.Connection,
    encoding: LetterEncoding,
    chosen: LetterFilter,
    *,
    after: int = 0,
    limit: int = 100,
) -> list[FiledLetter]:
    """Return the oldest letters whose id is greater than ``after``, in order."""
    where, values = chosen.where()
    rows = connection.execute(
        f"SELECT * FROM letters WHERE {where} AND id > ? ORDER BY id LIMIT ?", [*values, after, limit]
    )
    return list(letters_of(rows, encoding))


def letters_of(rows: Iterator[sqlite3.Row] | sqlite3.Cursor, encoding: LetterEncoding) -> Iterator[FiledLetter]:
    """Yield the letters of rows. Raises :class:`DamagedError` for one that SQLite could read and nobody else can."""
    for row in rows:
        try:
            yield encoding.letter(row)
        except (ValueError, TypeError) as error:
            raise DamagedError(f"letter {row['id']}: {error}") from error


def payload(connection: sqlite3.Connection, encoding: LetterEncoding, id: int) -> bytes | None:
    """Return the original bytes of a letter; ``None`` if it is gone. Raises :class:`PermanentError` if damaged."""
    row = connection.execute(
        "SELECT data, encoding, bytes, crc FROM letters LEFT JOIN payloads USING (id) WHERE id = ?", (id,)
    ).fetchone()
    if row is None:
        return None
    return encoding.payload(id, bytes(row["data"] or b""), row["encoding"], row["bytes"], row["crc"])


def newest_id(connection: sqlite3.Connection) -> int:
    """Return the greatest id that was ever given."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'letters'").fetchone()
    return int(row[0]) if row else 0


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return what the database takes on the disk, without pages that wait for new letters."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
