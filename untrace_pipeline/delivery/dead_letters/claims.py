"""Claims: which process is about to send a letter again. A claim ends by itself when its process has died.

Every function runs inside a transaction, and is short.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from untrace_pipeline.delivery.dead_letters.encoding import LetterEncoding
from untrace_pipeline.delivery.dead_letters.letter import FiledLetter, LetterFilter
from untrace_pipeline.delivery.dead_letters.queries import letters_of

__all__ = ["Replay", "claim", "claimed_by_others", "keep", "release", "renew"]


@dataclass(frozen=True, slots=True)
class Replay:
    """One run over some letters: those that are there when it begins, each once."""

    owner: str
    """Unique in the world."""
    chosen: LetterFilter
    until_id: int
    """Greatest id when it began."""
    started: float
    """Seconds since the Unix epoch; what another replay tried since then is not tried again."""


_OPEN = "id <= ? AND (tried_at IS NULL OR tried_at < ?)"


def claim(
    connection: sqlite3.Connection,
    encoding: LetterEncoding,
    replay: Replay,
    *,
    after: int,
    limit: int,
    now: float,
    lease: float,
) -> list[FiledLetter]:
    """Claim the oldest letters whose id is greater than ``after`` and that nobody else has claimed."""
    where, values = replay.chosen.where()
    rows = connection.execute(
        f"SELECT * FROM letters WHERE {where} AND {_OPEN} AND id > ? AND (claimed_until IS NULL OR claimed_until <= ?) "
        "ORDER BY id LIMIT ?",
        [*values, replay.until_id, replay.started, after, now, limit],
    )
    letters = list(letters_of(rows, encoding))
    connection.executemany(
        "UPDATE letters SET claimed_by = ?, claimed_until = ? WHERE id = ?",
        [(replay.owner, now + lease, letter.id) for letter in letters],
    )
    return letters


def claimed_by_others(connection: sqlite3.Connection, replay: Replay, now: float) -> int:
    """Return how many letters of a replay are with another one."""
    where, values = replay.chosen.where()
    return int(
        connection.execute(
            f"SELECT count(*) FROM letters WHERE claimed_by IS NOT NULL AND claimed_by <> ? AND claimed_until > ? "
            f"AND {_OPEN} AND {where}",
            [replay.owner, now, replay.until_id, replay.started, *values],
        ).fetchone()[0]
    )


def renew(connection: sqlite3.Connection, owner: str, until: float) -> None:
    """Keep what is claimed for longer."""
    connection.execute("UPDATE letters SET claimed_until = ? WHERE claimed_by = ?", (until, owner))


def release(connection: sqlite3.Connection, owner: str) -> None:
    """Let others have what is claimed."""
    connection.execute("UPDATE letters SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by = ?", (owner,))


def keep(
    connection: sqlite3.Connection,
    encoding: LetterEncoding,
    letter: FiledLetter,
    *,
    reason: str,
    code: str,
    message: str,
    attempts: int,
    now: float,
) -> None:
    """Write down that a letter failed again, and release it."""
    row = connection.execute("SELECT encoding FROM letters WHERE id = ?", (letter.id,)).fetchone()
    if row is None:
        return
    connection.execute(
        "UPDATE letters SET reason = ?, code = ?, attempts = attempts + ?, details = ?, tried_at = ?, "
        "claimed_by = NULL, claimed_until = NULL WHERE id = ?",
        (reason, code, attempts, encoding.details(message, letter.metadata, row[0]), now, letter.id),
    )
