"""The table of what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.proofs.run import COLUMNS, Row

__all__ = ["Skipped", "as_markdown", "as_text"]


@dataclass(frozen=True)
class Skipped:
    """A destination that could not be asked."""

    destination: str
    reason: str


_HEAD = ("destination", "peer", "sent", "arrived", *COLUMNS, "busy (429, 503)", "too large (413)", "ledger", "proven")


def _cells(row: Row) -> tuple[str, ...]:
    equal = [row.equal.get(column, "-") for column in COLUMNS]
    proven = "yes" if not row.wrong else "NO"
    counts = (str(row.sent), str(row.arrived))
    return (row.destination, row.peer, *counts, *equal, row.retry, row.too_large, row.ledger, proven)


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table for a page."""
    lines = [_HEAD, ("---",) * len(_HEAD), *map(_cells, rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def as_text(rows: Sequence[Row], skipped: Sequence[Skipped]) -> str:
    """Return the table for a terminal, with what is wrong below it."""
    lines = [_HEAD, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() + "\n"
        for cells in lines
    )
    text += "".join(f"{one.destination}: not asked: {one.reason}\n" for one in skipped)
    return text + "".join(f"{row.destination}: {wrong}\n" for row in rows for wrong in row.wrong)
