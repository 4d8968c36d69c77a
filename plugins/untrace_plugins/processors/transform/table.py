"""The table of a lookup: read from a file, and again when the file changes."""

from __future__ import annotations

import asyncio
import csv
import io
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from untrace_pipeline.api import StartError
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
        self._seen: tuple[int, int, int] | None = None

    def cell(self, column: str, key: Any) -> Value:
        """Return a cell of the row with that key; ``None`` where there is none, or it is empty."""
        row = self._rows.get(key if key.__class__ is str else as_string(key))
        value = row.get(column) if row is not None else None
        return None if value == "" else value

    def load(self) -> None:
        """Read the file. Raises :class:`StartError` where it cannot be read, or lacks a column that is asked for."""
        path = Path(self._options.file)
        try:
            seen = _stamp(path)
            rows, columns = _read(path, self._options.key_column)
        except (OSError, ValueError, csv.Error, yaml.YAMLError, RecursionError) as error:
            msg = f"lookup {path}: {_reason(error)}"
            raise StartError(msg) from error
        missing = sorted(set(self._options.fields.values()) - (columns or set()))
        if columns and missing:
            msg = f"lookup {path}: there is no column {', '.join(missing)}; there are: {', '.join(sorted(columns))}"
            raise StartError(msg)
        self._rows, self._seen = rows, seen

    async def watch(self, logger: logging.Logger) -> None:
        """Look at the file now and then; what cannot be read is reported once, and the old rows stay."""
        failed: tuple[int, int, int] | None = None
        while True:
            await asyncio.sleep(self._options.check_interval)
            try:
                stamp = await asyncio.to_thread(_stamp, Path(self._options.file))
            except OSError:
                stamp = (0, 0, 0)
            if stamp in {self._seen, failed}:
                continue
            try:
                await asyncio.to_thread(self.load)
            except StartError as error:
                failed = stamp
                logger.warning("%s; the rows read before stay in use", error)
            else:
                logger.info("lookup %s was read again: %d rows", self._options.file, len(self._rows))


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is written or replaced."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


def _reason(error: BaseException) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error) or type(error).__name__


def _read(path: Path, key_column: str) -> tuple[Rows, set[str] | None]:
    """Return the rows and the columns; ``None`` where nothing names columns."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".csv":
        reader = csv.DictReader(io.StringIO(text), strict=True)
        return _by_key(list(reader), key_column), set(reader.fieldnames or ()) or None
    content = orjson.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
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
