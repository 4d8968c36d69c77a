"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["table"]


def table(rows: Sequence[Mapping[str, str]], *, indent: str = "", header: bool = True) -> str:
    """Return lines with a column per key, as wide as its longest value; all rows have the keys of the first."""
    if not rows:
        return f"{indent}none"
    columns = list(rows[0])
    titles = [{name: name for name in columns}] if header else []
    widths = {name: max(len(row[name]) for row in (*titles, *rows)) for name in columns}
    lines = ["  ".join(row[name].ljust(widths[name]) for name in columns) for row in (*titles, *rows)]
    return "\n".join(f"{indent}{line}".rstrip() for line in lines)
