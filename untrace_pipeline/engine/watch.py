"""Notices changed configuration files: by ``watchfiles`` where it is installed, else by looking every second.

Only a change of content counts, so that ``touch`` or a Kubernetes ConfigMap swapped for an equal one reloads nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

__all__ = ["watch_files"]

POLL_SECONDS = 1.0
SETTLE_SECONDS = 0.1
"""After something happened: editors write in several steps, and a file may be absent for a moment."""

logger = logging.getLogger(__name__)


async def watch_files(files: Callable[[], Iterable[Path]]) -> AsyncIterator[None]:
    """Yield whenever the content of the files has changed; ``files`` is asked again each time."""
    known = _fingerprint(files())
    while True:
        await _something_happened(files())
        await asyncio.sleep(SETTLE_SECONDS)
        found = _fingerprint(files())
        if found != known:
            known = found
            yield


async def _something_happened(files: Iterable[Path]) -> None:
    """Wait until something happened in the folders of the files, or for a second."""
    try:
        from watchfiles import awatch  # noqa: PLC0415  an extra
    except ImportError:
        await asyncio.sleep(POLL_SECONDS)
        return
    folders = {file.resolve().parent for file in files} | {file.absolute().parent for file in files}
    try:
        async for _ in awatch(*folders, recursive=False):
            return
    except (OSError, RuntimeError) as error:  # a folder is gone for a moment, or the system has no watch left
        logger.debug("files cannot be watched and are looked at every %g s: %s", POLL_SECONDS, error)
        await asyncio.sleep(POLL_SECONDS)


def _fingerprint(files: Iterable[Path]) -> dict[Path, str]:
    """Return a digest per file; a file that cannot be read, perhaps for a moment, has the digest of nothing."""
    return {file: _digest(file) for file in files}


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
