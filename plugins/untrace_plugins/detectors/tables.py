"""Heads of columns, which say what the values below them are."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from untrace_plugins.detectors.regex import Regex

__all__ = ["cells_below", "column_head"]

_SEPARATORS = ("|", "\t", ";", ",")
_MIN_COLUMNS, _MIN_ROWS = 2, 2
_MAX_LINE = 4096
"""Lines longer than this are no rows of a table."""
_AROUND = " \t\r\"'`*"
_NAME = re.compile(r"""\s*["'`*]{0,2}[^\W\d][\w .()/#-]{0,40}["'`*]{0,2}\s*\Z""")
"""What heads of columns look like; they are no sentences, and no code."""


class _Table(NamedTuple):
    start: int
    end: int
    separator: str
    heads: tuple[str, ...]


def column_head(text: str, offset: int) -> str:
    """Return the head of the column in which an offset lies, "" if it lies in no table: CSV, TSV or Markdown."""
    if "\n" not in text:
        return ""
    tables = _tables(text)
    number = bisect_right(tables, offset, key=lambda table: table.start) - 1
    if number < 0 or offset >= tables[number].end:
        return ""
    table = tables[number]
    line = text.rfind("\n", 0, offset) + 1
    column = len(_cells(text[line:offset], table.separator)) - 1
    return table.heads[column] if column < len(table.heads) else ""


def cells_below(text: str, head: Regex) -> Iterator[tuple[int, int]]:
    """Yield where the values lie, without white space and quotes around them, of the columns whose head matches."""
    for table in _tables(text):
        columns = {column for column, name in enumerate(table.heads) if head.search(name)}
        if columns:
            first = text.find("\n", table.start) + 1
            yield from _cells_of(text, first, table, columns)


def _cells_of(text: str, start: int, table: _Table, columns: set[int]) -> Iterator[tuple[int, int]]:
    for line in text[start : table.end].split("\n"):
        offset = start
        for column, cell in enumerate(_cells(line, table.separator)):
            value = cell.strip(_AROUND)
            if column in columns and value:
                begin = text.find(value, offset, start + len(line))
                if begin >= 0:
                    yield begin, begin + len(value)
            offset += len(cell) + 1
        start += len(line) + 1


@lru_cache(maxsize=1)
def _tables(text: str) -> list[_Table]:
    """Return the blocks of lines that have a separator equally often; detectors ask for one text after the other."""
    found: list[_Table] = []
    table: _Table | None = None
    start = rows = columns = 0
    for line in (*text.split("\n"), ""):
        if table is not None and len(_cells(line, table.separator)) == columns:
            rows += 1
        else:
            if table is not None and rows >= _MIN_ROWS:
                found.append(table._replace(end=start))
            table = _head(line, start)
            rows, columns = 1, len(table.heads) if table is not None else 0
        start += len(line) + 1
    return found


def _head(line: str, start: int) -> _Table | None:
    """Return the table that a line may begin."""
    if len(line) > _MAX_LINE:
        return None
    for separator in _SEPARATORS:
        if separator in line:
            heads = tuple(_cells(line, separator))
            if _is_open(line):  # the table begins within a string: what stands before it is no head
                heads = (heads[0].rpartition('"')[2], *heads[1:])
            named = [head for head in heads if head.strip()]
            if len(named) >= _MIN_COLUMNS and all(map(_NAME.match, named)):
                return _Table(start, start, separator, heads)
    return None


def _is_open(line: str) -> bool:
    """Whether a string begins in this line, or ends, whose other end is elsewhere."""
    return line.count('"') % 2 == 1


def _cells(line: str, separator: str) -> list[str]:
    """Split a row; a separator within double quotes is none."""
    if len(line) > _MAX_LINE:
        return []
    if '"' not in line or _is_open(line):
        return line.split(separator)
    cells: list[str] = []
    quoted, cell = False, ""
    for part in line.split('"'):
        first, *others = [part] if quoted else part.split(separator)
        cell += first
        for other in others:
            cells.append(cell)
            cell = other
        quoted = not quoted
    return [*cells, cell]
