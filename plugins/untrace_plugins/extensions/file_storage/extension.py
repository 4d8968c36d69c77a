"""The extension: finds the directories of this worker, and hands out journals."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from untrace_pipeline.api import Host, Settings, StartError, Workers
from untrace_pipeline.delivery.dead_letters import Cipher, DeadLetterStore, Limits
from untrace_plugins.extensions.file_storage.config import FileStorageConfig
from untrace_plugins.extensions.file_storage.directory import Directory
from untrace_plugins.extensions.file_storage.journal import FileJournal
from untrace_plugins.extensions.file_storage.journals import Journals

if TYPE_CHECKING:
    from untrace_plugins.extensions.file_storage.crypt import Keys

__all__ = ["FileStorage"]

DEAD_LETTERS = "dead_letters.db"


class FileStorage:
    """Keeps journals in ``<directory>/queues/<name>``, or ``<directory>/worker-<n>/queues/<name>`` for one of many."""

    def __init__(self, config: FileStorageConfig, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._name = f"extension {settings.id}"
        self._root = Path(config.directory)
        self._directories: list[Directory] = []
        """The own one, then those that no process has any more and that are this one's to finish."""
        self._journals = Journals(config, settings)
        self._load_keys = cache(_key_loader(config))
        self._letters = DeadLetterStore(
            self._root / DEAD_LETTERS,
            Limits(config.dead_letters.max_size, config.dead_letters.max_age),
            settings,
            cipher=_letter_cipher(config, self._load_keys),
            fsync=config.fsync,
        )

    async def start(self, host: Host) -> None:
        """Lock the directories, and look after what is there. Raises :class:`StartError`."""
        try:
            for path in await asyncio.to_thread(self._paths, host.workers):
                self._directories.append(await Directory.acquire(path, self._config.timeout))
            self._journals.start(host, self._directories, await asyncio.to_thread(self._load_keys))
            await self._letters.start()
        except OSError as error:
            self._release()
            missing = isinstance(error, FileNotFoundError) and not self._config.create_directory
            hint = "; create_directory: true would create it" if missing else ""
            cause = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
            msg = f"{self._name}: cannot use the directory {error.filename or self._root}: {cause}{hint}"
            raise StartError(msg) from error
        except StartError as error:
            self._release()
            raise StartError(f"{self._name}: {error}") from error

    async def shutdown(self) -> None:
        """Close what is open, and unlock the directories."""
        try:
            await self._journals.close()
        finally:
            try:
                await self._letters.close()
            finally:
                self._release()

    def in_use(self, name: str) -> bool:
        """Return whether somebody in this process has the journal open."""
        return self._journals.in_use(name)

    async def open_journal(self, name: str) -> FileJournal:
        """Return a journal, as soon as nobody else has it. Raises :class:`StartError`."""
        try:
            return await self._journals.open(name)
        except StartError as error:
            raise StartError(f"{self._name}: {error}") from error

    def dead_letters(self) -> DeadLetterStore:
        """Return the store of dead letters. It may be used without :meth:`start`, by other processes too."""
        return self._letters

    def _paths(self, workers: Workers) -> list[Path]:
        """Return the directories of this process, the own one first. Raises ``OSError``."""
        mode = int(self._config.directory_permissions, 8)
        if self._config.create_directory:
            self._root.mkdir(mode, parents=True, exist_ok=True)
        root = self._root.resolve(strict=True)
        own = root / workers.directory
        if own != root:
            own.mkdir(mode, exist_ok=True)
        found = [Path(entry) for entry in os.scandir(root) if entry.is_dir() and workers.adopts(entry.name)]
        return [own, *([root] if workers.adopts("") else []), *sorted(found)]

    def _release(self) -> None:
        while self._directories:
            self._directories.pop().release()


def _key_loader(config: FileStorageConfig) -> Callable[[], Keys | None]:
    """Return what reads the keys. Raises ``ImportError`` if there are any and the library is missing."""
    encryption = config.encryption
    if encryption is None:
        return lambda: None
    from untrace_plugins.extensions.file_storage.crypt import Keys  # noqa: PLC0415  an extra

    return partial(Keys.load, encryption, "encryption")


def _letter_cipher(config: FileStorageConfig, load: Callable[[], Keys | None]) -> Cipher | None:
    """Return what encrypts dead letters. It reads the keys itself where nobody has, on the command line."""
    if config.encryption is None:
        return None
    from untrace_plugins.extensions.file_storage.sealing import LetterCipher  # noqa: PLC0415  an extra

    return LetterCipher(load)
