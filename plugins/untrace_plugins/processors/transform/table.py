"""The table of a lookup: read from a file, and again when the file changes."""

from __future__ import annotations

import asyncio
import csv
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from untrace_pipeline.api import StartError, WatchedFile
from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Value
from untrace_plugins.processors.transform.operations import LookupConfig

__all__ = ["Table"]

Rows = Mapping[str, Mapping[str, Value]]


class Table:
    """Rows by key. ``load`` reads the file; ``watch`` reads it again whenever it has changed, and never fails."""

    def __init__(self, options: LookupConfig) -> None:
        self._options = options
        self._rows: Rows = {}
        self._file = WatchedFile(options.file)

    def cell(self, column: str, key: Any) -> Value:
        """Return a cell of the row with that key; ``None`` where there is none, or it is empty."""
        row = self._rows.get(key if key.__class__ is str else as_string(key))
        value = row.get(column) if row is not None else None
        return None if value == "" else value

    def load(self) -> None:
        """Read the file. Raises :class:`StartError` where it cannot be read, or lacks a column that is asked for."""
        try:
            self._take(self._file.read())
        except OSError as error:
            raise self._unreadable(error) from error

    async def watch(self, logger: logging.Logger) -> None:
        """Look at the file now and then; what cannot be read is reported once, and the old rows stay."""
        while True:
            await asyncio.sleep(self._options.check_interval)
            try:
                read_again = await asyncio.to_thread(self._look)
            except StartError as error:
                logger.warning("%s; the rows read before stay in use", error)
            else:
                if read_again:
                    logger.info("lookup %s was read again: %d rows", self._options.file, len(self._rows))

    def _look(self) -> bool:
        """Take over a new content; return whether there was one. Raises :class:`StartError`."""
        try:
            content = self._file.poll()
        except OSError as error:
            raise self._unreadable(error) from error
        if content is not None:
            self._take(content)
        return content is not None

    def _take(self, content: bytes) -> None:
        try:
            rows, columns = _parse(content, Path(self._options.file).suffix.lower(), self._options.key_column)
        except (ValueError, csv.Error, yaml.YAMLError, RecursionError) as error:
            raise StartError(f"lookup {self._options.file}: {str(error) or type(error).__name__}") from error
        missing = sorted(set(self._options.fields.values()) - (columns or set()))
        if columns and missing:
            there = ", ".join(sorted(columns))
            raise StartError(
                f"lookup {self._options.file}: there is no column {', '.join(missing)}; there are: {there}"
            )
        self._rows = rows

    def _unreadable(self, error: OSError) -> StartError:
        return StartError(f"lookup {self._options.file}: {error.strerror}")


def _parse(content: bytes, suffix: str, key_column: str) -> tuple[Rows, set[str] | None]:
    """Return the rows and the columns; ``None`` where nothing names columns."""
    text = content.decode("utf-8-sig")
    if suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text), strict=True)
        return _by_key(list(reader), key_column), set(reader.fieldnames or ()) or None
    content = orjson.loads(text) if suffix == ".json" else yaml.safe_load(text)
    if isinstance(content, dict) and all(isinstance(row, dict) for row in content.values()):
        rows: Rows = {as_string(key): row for key, row in content.items()}
    elif isinstance(content, list) and all(isinstance(row, dict) for row in content):
        rows = _by_key(content, key_column)
    else:
        msg = "a list of objects, or an object of objects, is needed"
        raise ValueError(msg)
    return rows, {column for row in rows.values() for column in row} if rows else None


def _by_key(rows: list[dict[str, Any]], key_column: str) -> Rows:
    name = key_column or next((column for row in rows for column in row), "")
    if rows and not all(name in row for row in rows):
        msg = f"a row has no column {name!r}"
        raise ValueError(msg)
    return {as_string(row[name]): row for row in rows}
