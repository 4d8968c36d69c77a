"""``dlq export`` and ``dlq purge``: letters leave the queue, into a file or for good."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from untrace_pipeline.cli.letters import Desk, Storage, UsageError, amount_text, total
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery.dead_letters import Amount, FiledLetter
from untrace_pipeline.errors import ConsumeError

__all__ = ["export", "purge"]

CHUNK = 16
"""Letters that are written to the disk, and then removed, at once."""
_LENGTH = struct.Struct(">I")


# --------------------------------------------------------------------- export


async def export(desk: Desk, arguments: argparse.Namespace) -> int:
    """Write requests, and remove them where that was asked for; 1 if one could not be read."""
    if arguments.remove and arguments.output is None:
        raise UsageError("--remove needs --output FILE: only of a file is it known that the disk has it")
    if arguments.format == "proto":
        await _check_one_signal(desk)
    if arguments.remove:
        await desk.open()
    file = _File(arguments.output, proto=arguments.format == "proto")
    try:
        for storage in desk.storages:
            if arguments.remove:
                await _move(desk, storage, file)
            else:
                async for page in desk.letters(storage):
                    await file.add(storage, page)
        file.finish()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        print(f"{arguments.parser.prog}: cannot write {arguments.output}: {error.strerror}", file=sys.stderr)
        return 1
    finally:
        file.close()
    print(f"{amount_text(file.amount)} exported{' and removed' * arguments.remove}", file=sys.stderr)
    return 1 if file.unreadable else 0


async def _check_one_signal(desk: Desk) -> None:
    """Raise :class:`UsageError` where letters of several signals would be mixed: nobody could tell them apart."""
    found = {signal for one in desk.storages for _, signal in await one.store.signals(desk.chosen)}
    if len(found) > 1:
        raise UsageError(f"proto holds one signal, and these are {', '.join(sorted(found))}: choose one with --signal")


async def _move(desk: Desk, storage: Storage, file: _File) -> None:
    """Write letters and remove them, some at a time; nobody else sends them meanwhile."""
    store, after, left = storage.store, 0, desk.limit or sys.maxsize
    async with store.lend(desk.chosen) as run:
        while left and (letters := await store.claim(run, after=after, limit=min(CHUNK, left))):
            written = await file.add(storage, letters)
            await asyncio.to_thread(file.sync)  # claims are renewed meanwhile
            await store.remove(written)
            after, left = letters[-1].id, left - len(letters)
    await store.give_back()


class _File:
    """Where requests are written to: a new file, or stdout. Raises ``OSError``, and at first :class:`UsageError`."""

    def __init__(self, path: str | None, *, proto: bool) -> None:
        self._proto = proto
        self._path = Path(path) if path is not None else None
        self.amount = Amount()
        self.unreadable = 0
        self._file: BinaryIO = sys.stdout.buffer
        if self._path is not None:
            try:
                self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
            except FileExistsError:
                msg = f"{path} exists already, and nothing was exported: name another file"
                raise UsageError(msg) from None
            except OSError as error:
                raise UsageError(f"cannot write {path}: {error.strerror}") from error

    async def add(self, storage: Storage, letters: Sequence[FiledLetter]) -> list[int]:
        """Write letters; return the ids of those that could be read."""
        written = []
        for letter in letters:
            try:
                payload = await storage.store.payload(letter)
                if payload is None:
                    continue
                self._write(payload if self._proto else Batch(letter.signal, payload).to_json())
            except ConsumeError as error:
                self.unreadable += 1
                print(f"{storage.id}: {error}; it is left out", file=sys.stderr)
                continue
            written.append(letter.id)
            self.amount += Amount(1, letter.items, letter.bytes)
        return written

    def sync(self) -> None:
        """Return when the disk has what was written."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Write what is left."""
        if self._path is None:
            self._file.flush()
        else:
            self.sync()

    def close(self) -> None:
        """Close the file. On a full disk what could not be written is left out, as was said."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _write(self, data: bytes) -> None:
        self._file.write(_LENGTH.pack(len(data)) + data if self._proto else data + b"\n")


# ---------------------------------------------------------------------- purge


async def purge(desk: Desk, arguments: argparse.Namespace) -> int:
    """Remove letters, after asking; those that come meanwhile stay."""
    if not desk.chosen and not arguments.all and not desk.limit:
        raise UsageError("say which letters with a filter, or --all")
    if not arguments.dry_run:
        await desk.open()
    meant = [(storage, await storage.store.newest_id()) for storage in desk.storages]
    amount = total([total((await desk.amounts(storage)).values()) for storage in desk.storages])
    if arguments.dry_run or not amount.letters:
        print(f"{amount_text(amount)} would be removed" if amount.letters else "no dead letters fit")
        return 0
    if not arguments.yes and not _confirmed(amount):
        print("nothing was removed", file=sys.stderr)
        return 1
    removed = Amount()
    for storage, until in meant:
        async for page in desk.letters(storage, until):
            removed += await storage.store.remove([letter.id for letter in page])
        await storage.store.give_back()
    print(f"{amount_text(removed)} removed")
    return 0


def _confirmed(amount: Amount) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(f"{amount_text(amount)} would be removed: --yes is needed where nobody can be asked")
    answer = input(f"remove {amount_text(amount)} for good? [y/N] ")
    return answer.strip().lower() in {"y", "yes"}
