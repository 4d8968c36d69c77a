"""Directories in use: one daemon at a time, and one owner of a journal at a time within it."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import string
from pathlib import Path

from untrace_pipeline.api import StartError

__all__ = ["Directory", "folder_name"]

POLL_SECONDS = 0.05
_PLAIN = frozenset(string.ascii_letters + string.digits + "_-.")
_NAME_LIMIT = 200
"""Bytes of a folder's name; file systems allow 255."""

_in_use: dict[Path, Directory] = {}
"""What this process has locked. A reload starts the new extension before the old one stops: they share the lock."""


def folder_name(name: str) -> str:
    """Return the name of a journal as that of a folder: readable, safe, and different for different names.

    ``exporters/otlp/backend`` becomes ``exporters+otlp+backend``.
    """
    encoded = "".join(_encode(character) for character in name)
    if encoded.startswith("."):
        encoded = f"%2E{encoded[1:]}"
    if len(encoded) > _NAME_LIMIT:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        encoded = f"{encoded[: _NAME_LIMIT - len(digest) - 1]}~{digest}"
    return encoded


def _encode(character: str) -> str:
    if character in _PLAIN:
        return character
    if character == "/":
        return "+"
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


class Directory:
    """A directory that this process has locked, for as long as anybody in it uses it."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.seen: set[str] = set()
        """Journals that this process has had open."""
        self._lock = lock
        self._users = 1
        self._owned: dict[str, asyncio.Future[None]] = {}

    @classmethod
    async def acquire(cls, path: Path, timeout: float) -> Directory:
        """Lock a directory (its real path). Raises ``OSError``, and :class:`StartError` if another process has it."""
        known = _in_use.get(path)
        if known is not None:
            known._users += 1
            return known
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            await _wait_for_lock(lock, path, timeout)
            os.truncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:  # nobody needs to know the process id
                os.close(lock)
                raise
        except BaseException:
            os.close(lock)
            raise
        if path in _in_use:  # somebody else in this process waited too
            os.close(lock)
            return await cls.acquire(path, timeout)
        _in_use[path] = directory = cls(path, lock)
        return directory

    def release(self) -> None:
        """Let go; the last user unlocks."""
        self._users -= 1
        if not self._users:
            del _in_use[self.path]
            os.close(self._lock)

    def owned(self, name: str) -> bool:
        """Return whether a journal has an owner."""
        return name in self._owned

    async def own(self, name: str) -> None:
        """Become the owner of a journal, as soon as whoever owns it has let go."""
        while name in self._owned:
            await asyncio.shield(self._owned[name])
        self._owned[name] = asyncio.get_running_loop().create_future()

    def disown(self, name: str) -> None:
        """Let the next owner have it."""
        waiting = self._owned.pop(name)
        if not waiting.done():
            waiting.set_result(None)


async def _wait_for_lock(lock: int, path: Path, timeout: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if loop.time() >= deadline:
                owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
                who = f"process {owner}" if owner.isdigit() else "another process"
                msg = f"{path} is in use by {who}: give each daemon a directory of its own"
                raise StartError(msg) from None
            await asyncio.sleep(POLL_SECONDS)
        else:
            return
