"""What is changed in the database. Every function runs inside a transaction, and is short."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence

from untrace_pipeline.delivery.dead_letters.encoding import COLUMNS, Row
from untrace_pipeline.delivery.dead_letters.letter import Amount
from untrace_pipeline.delivery.dead_letters.queries import used_bytes

__all__ = ["Purged", "add", "expire", "give_back", "make_room", "remove"]

STEP_BYTES = 16 * 1024 * 1024
STEP_LETTERS = 1000
"""Purged in one transaction at most, besides what makes room for new letters: others want to write too."""
STEP_PAGES = 2048
"""Given back to the file system in one transaction."""
SLACK = 4
"""Space is given back when more than one in so many pages is free: a store at its limit always has some."""
LEAST_FREE_PAGES = 1024

Purged = Counter[str]
"""Items by exporter."""

_ADD = f"INSERT INTO letters ({COLUMNS}) VALUES ({', '.join('?' * len(COLUMNS.split(', ')))})"


def add(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Add letters."""
    for row in rows:
        id = connection.execute(_ADD, row.values).lastrowid  # noqa: A001  the word of the domain
        connection.execute("INSERT INTO payloads VALUES (?, ?)", (id, row.payload))


def remove(connection: sqlite3.Connection, ids: Sequence[int]) -> Amount:
    """Remove letters; return what there was of them."""
    amount = Amount()
    for id in ids:  # noqa: A001  the word of the domain
        row = connection.execute("SELECT items, bytes FROM letters WHERE id = ?", (id,)).fetchone()
        if row is not None:
            connection.execute("DELETE FROM letters WHERE id = ?", (id,))
            amount += Amount(1, row["items"], row["bytes"])
    return amount


def make_room(connection: sqlite3.Connection, max_bytes: int, need: int = 0) -> Purged:
    """Remove the oldest letters until there is room for so many bytes, or until it is much for one transaction."""
    purged = Purged()
    budget = need + STEP_BYTES
    while budget > 0 and (excess := used_bytes(connection) + need - max_bytes) > 0:
        freed = _drop_oldest(connection, min(excess, budget), purged)
        if not freed:
            break
        budget -= freed
    return purged


def expire(connection: sqlite3.Connection, before: float) -> Purged:
    """Remove the oldest of the letters that were given up before a time."""
    rows = connection.execute(
        "SELECT id, stored, items, exporter FROM letters WHERE failed_at < ? ORDER BY failed_at LIMIT ?",
        (before, STEP_LETTERS),
    )
    purged = Purged()
    _drop(connection, rows, STEP_BYTES, purged)
    return purged


def give_back(connection: sqlite3.Connection) -> bool:
    """Return free pages to the file system, if they are many; return whether there are still many."""
    pages, free = (int(connection.execute(f"PRAGMA {n}").fetchone()[0]) for n in ("page_count", "freelist_count"))
    if free < LEAST_FREE_PAGES or free * SLACK < pages:
        return False
    for _ in range(min(STEP_PAGES, free)):
        connection.execute("PRAGMA incremental_vacuum(1)")  # Python makes one step of it, whatever the number
    return True


def _drop_oldest(connection: sqlite3.Connection, wanted: int, purged: Purged) -> int:
    rows = connection.execute("SELECT id, stored, items, exporter FROM letters ORDER BY id LIMIT ?", (STEP_LETTERS,))
    return _drop(connection, rows, wanted, purged)


def _drop(connection: sqlite3.Connection, rows: Iterable[sqlite3.Row], wanted: int, purged: Purged) -> int:
    """Remove letters from the first on, until that many bytes are free; return how many are."""
    freed, gone = 0, []
    for row in rows:
        if freed >= wanted:
            break
        freed += row["stored"]
        purged[row["exporter"]] += row["items"]
        gone.append((row["id"],))
    connection.executemany("DELETE FROM letters WHERE id = ?", gone)
    return freed
