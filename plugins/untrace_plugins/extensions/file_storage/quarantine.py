"""Damaged files: kept beside the others for whoever wants to look at them, within bounds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from untrace_plugins.extensions.file_storage.files import Files

__all__ = ["QUARANTINE", "set_aside"]

QUARANTINE = "quarantine"
LIMIT = 16
"""Files that are kept; the oldest go first."""


def set_aside(files: Files, folder: Path, names: Sequence[str], logger: logging.Logger) -> None:
    """Move files of a folder to its quarantine, those that exist; never raises."""
    target = folder / QUARANTINE
    try:
        files.make_directory(target)
        taken = files.list(target)
        for name in names:
            free, suffix = name, 1
            while free in taken:
                free, suffix = f"{name}.{suffix}", suffix + 1
            try:
                files.move(folder / name, target / free)
            except FileNotFoundError:
                continue
            logger.warning("%s is damaged; it is kept as %s", folder / name, target / free)
        _trim(files, target, logger)
    except OSError as error:
        logger.warning("damaged files of %s could not be set aside: %s", folder, error)


def _trim(files: Files, target: Path, logger: logging.Logger) -> None:
    """Delete the oldest: names begin with numbers that grow."""
    regular = sorted(name for name, is_file in files.list(target).items() if is_file)
    for name in regular[:-LIMIT]:
        logger.warning("%s is deleted: %d damaged files are kept", target / name, LIMIT)
        files.remove(target / name)
