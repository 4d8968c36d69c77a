"""The tables of the dead-letter database, and how connections to it are set up.

``letters`` holds what is listed and searched, ``payloads`` the requests, so that a walk through the letters reads
little. ``totals`` is kept by triggers: whoever adds or removes letters, in whichever process, they are counted.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

__all__ = ["APPLICATION_ID", "VERSION", "connect", "create", "is_ours", "version"]

APPLICATION_ID = 0x554E444C
"""``UNDL`` in the header of the file: tells our database from any other."""
VERSION = 1
"""Of the tables below. A database of a greater version is left alone."""
WAL_LIMIT_BYTES = 16 * 1024 * 1024
"""What the write-ahead log is cut down to after a large letter."""

_TABLES = """
CREATE TABLE letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    exporter TEXT NOT NULL,
    destination TEXT NOT NULL,
    reason TEXT NOT NULL,
    code TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    failed_at REAL NOT NULL,
    received_at REAL NOT NULL,
    signal TEXT NOT NULL,
    items INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    encoding INTEGER NOT NULL,
    tenant TEXT,
    key TEXT NOT NULL,
    details BLOB NOT NULL,
    tried_at REAL,
    claimed_by TEXT,
    claimed_until REAL
);
CREATE TABLE payloads (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE totals (
    exporter TEXT NOT NULL,
    reason TEXT NOT NULL,
    letters INTEGER NOT NULL,
    items INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (exporter, reason)
) WITHOUT ROWID;
CREATE INDEX letters_by_exporter ON letters (exporter);
CREATE INDEX letters_by_time ON letters (failed_at);
CREATE INDEX letters_by_reason ON letters (reason);
CREATE INDEX letters_claimed ON letters (claimed_by) WHERE claimed_by IS NOT NULL;
CREATE TRIGGER letter_added AFTER INSERT ON letters BEGIN
    INSERT INTO totals VALUES (new.exporter, new.reason, 1, new.items, new.bytes)
    ON CONFLICT DO UPDATE SET
        letters = letters + 1, items = items + excluded.items, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER letter_removed AFTER DELETE ON letters BEGIN
    UPDATE totals SET letters = letters - 1, items = items - old.items, bytes = bytes - old.bytes
    WHERE exporter = old.exporter AND reason = old.reason;
    DELETE FROM payloads WHERE id = old.id;
END;
CREATE TRIGGER letter_judged AFTER UPDATE OF reason ON letters WHEN new.reason <> old.reason BEGIN
    UPDATE totals SET letters = letters - 1, items = items - old.items, bytes = bytes - old.bytes
    WHERE exporter = old.exporter AND reason = old.reason;
    INSERT INTO totals VALUES (new.exporter, new.reason, 1, new.items, new.bytes)
    ON CONFLICT DO UPDATE SET
        letters = letters + 1, items = items + excluded.items, bytes = bytes + excluded.bytes;
END;
"""


def connect(path: Path, mode: str, busy_timeout: float, *, fsync: bool = True) -> sqlite3.Connection:
    """Open a database that exists; ``mode`` is ``rw``, ``ro``, or ``ro&immutable=1`` for one that nobody writes to.

    Transactions are begun by hand. Without ``fsync``, what is committed survives the death of the process, but perhaps
    not that of the machine. The connection may be passed from thread to thread. Raises ``sqlite3.Error``.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False, cached_statements=32
    )
    connection.row_factory = sqlite3.Row
    connection.text_factory = _decode
    try:
        connection.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
    except BaseException:
        connection.close()
        raise
    return connection


def create(path: Path, first_id: int = 1) -> None:
    """Make an empty database, whose first letter will have that id. The file must exist, empty."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        for statement in _statements(_TABLES):
            connection.execute(statement)
        connection.execute("INSERT INTO sqlite_sequence VALUES ('letters', ?)", (first_id - 1,))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    finally:
        connection.close()


def is_ours(connection: sqlite3.Connection) -> bool:
    """Return whether the file is a dead-letter database, of whichever version."""
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID)


def version(connection: sqlite3.Connection) -> int:
    """Return the version of the tables."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _decode(data: bytes) -> str:
    """Read text that a flipped bit may have spoilt."""
    return data.decode("utf-8", "replace")


def _statements(script: str) -> list[str]:
    """Cut a script into statements; ``executescript`` would commit in between."""
    statements, lines = [], []
    for line in script.strip().splitlines():
        lines.append(line)
        if sqlite3.complete_statement("\n".join(lines)):
            statements.append("\n".join(lines))
            lines = []
    return statements
