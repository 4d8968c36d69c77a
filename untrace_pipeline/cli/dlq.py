"""``dlq``: look into the dead-letter queue, and clear it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from untrace_pipeline.cli.letters import Desk, Storage, UsageError, amount_text, run, size_text, total
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery.dead_letters import Amount, FiledLetter, LetterFilter
from untrace_pipeline.net.client import one_line

__all__ = ["execute"]

LEAST_MESSAGE = 20
"""Characters of a message that a line must have room for, to be cut at the edge of the terminal."""
_RIGHT = frozenset({"id", "attempts", "items", "bytes"})
"""Columns that are aligned to the right."""


def execute(arguments: argparse.Namespace) -> int:
    """Do what the subcommand says."""
    from untrace_pipeline.cli.dlq_removing import export, purge  # noqa: PLC0415  most calls only look

    return run(arguments, {"list": _list, "show": _show, "export": export, "purge": purge}[arguments.action])


# ----------------------------------------------------------------------- list


async def _list(desk: Desk, arguments: argparse.Namespace) -> int:
    """Print letters, a page at a time, then how many there are."""
    shown = 0
    for storage in desk.storages:
        async for page in desk.letters(storage):
            if arguments.json:
                for letter in page:
                    print(json.dumps(_as_json(storage, letter), ensure_ascii=False))
            else:
                _print_table(page, storage.id if len(desk.storages) > 1 else "", header=not shown)
            shown += len(page)
    if not arguments.json:
        await _print_totals(desk, shown)
    return 0


def _print_table(page: Sequence[FiledLetter], storage: str, *, header: bool) -> None:
    rows = [_row(letter, storage) for letter in page]
    columns = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}
    titles = [{name: name for name in columns}] if header else []
    width = _width()
    for row in (*titles, *rows):
        cells = [row[name].rjust(widths[name]) if name in _RIGHT else row[name].ljust(widths[name]) for name in columns]
        line = "  ".join(cells).rstrip()
        print(line[:width] if len(line) - len(row["message"]) + LEAST_MESSAGE <= width else line)


def _row(letter: FiledLetter, storage: str) -> dict[str, str]:
    row = {"storage": storage} if storage else {}
    return row | {
        "id": str(letter.id),
        "time": _time(letter.failed_at),
        "exporter": letter.exporter,
        "reason": letter.reason,
        "code": letter.code,
        "attempts": str(letter.attempts),
        "items": str(letter.items),
        "bytes": size_text(letter.bytes),
        "message": one_line(letter.message.strip().partition("\n")[0]),
    }


def _width() -> int:
    """Return how long a line may be: that of the terminal, or no limit where a program reads."""
    return os.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize


async def _print_totals(desk: Desk, shown: int) -> None:
    counts: dict[tuple[str, str], Amount] = {}
    for storage in desk.storages:
        for key, amount in (await storage.store.totals(desk.chosen)).items():
            counts[key] = counts.get(key, Amount()) + amount
    every = total(counts.values())
    if not every.letters:
        print("no dead letters fit" if desk.chosen else "no dead letters")
        return
    print(f"\n{amount_text(every)}{f'; {shown} are shown' if shown < every.letters else ''}:")
    width = max(len(exporter) for exporter, _ in counts)
    for (exporter, reason), amount in sorted(counts.items()):
        print(f"  {exporter.ljust(width)}  {reason.ljust(10)}  {amount_text(amount)}")


# ----------------------------------------------------------------------- show


async def _show(desk: Desk, arguments: argparse.Namespace) -> int:
    """Print letters one after the other; 1 if one is not there."""
    missing = 0
    for number, id in enumerate(arguments.ids):  # noqa: A001  the word of the domain
        found = [(one, letter) for one in desk.storages for letter in await one.store.find(LetterFilter(ids=[id]))]
        if len(found) > 1:
            names = ", ".join(storage.id for storage, _ in found)
            raise UsageError(f"letter {id} is in several storages: say which one with --storage: {names}")
        if not found:
            print(f"there is no dead letter {id}: it was replayed or removed", file=sys.stderr)
            missing += 1
            continue
        storage, letter = found[0]
        payload = await storage.store.payload(letter) if arguments.payload else None
        request = None if payload is None else json.loads(Batch(letter.signal, payload).to_json())
        if arguments.json:
            told = _as_json(storage, letter) | ({} if request is None else {"payload": request})
            print(json.dumps(told, ensure_ascii=False))
        else:
            print("\n" * bool(number) + "\n".join(_described(storage, letter)))
            if request is not None:
                print(f"payload:\n{json.dumps(request, indent=2, ensure_ascii=False)}")
    return 1 if missing else 0


def _described(storage: Storage, letter: FiledLetter) -> Iterator[str]:
    attempts = f"{letter.attempts}"
    if letter.replayed_at is not None:
        attempts += f", the last by a replay at {_time(letter.replayed_at)}"
    fields = {
        "id": str(letter.id),
        "storage": storage.id,
        "exporter": letter.exporter,
        "destination": letter.destination,
        "reason": letter.reason,
        "code": letter.code,
        "given up": _time(letter.failed_at),
        "received": _time(letter.received_at) if letter.received_at else "",
        "attempts": attempts,
        "signal": f"{letter.signal}, {letter.signal.counted(letter.items)}, {size_text(letter.bytes)}",
        "tenant": letter.tenant or "",
        "key": letter.key,
    }
    yield from (f"{name + ':':<13}{_printable(value)}" for name, value in fields.items() if value)
    if letter.metadata:
        yield "headers:"
        yield from (f"  {_printable(name)}: {_printable(', '.join(v))}" for name, v in sorted(letter.metadata.items()))
    yield "response:"
    yield from (f"  {_printable(line)}" for line in letter.message.splitlines())


def _as_json(storage: Storage, letter: FiledLetter) -> dict[str, Any]:
    """Return all that is known about a letter, but for its payload."""
    return {
        "storage": storage.id,
        "id": letter.id,
        "time": _time(letter.failed_at),
        "exporter": letter.exporter,
        "destination": letter.destination,
        "reason": letter.reason,
        "code": letter.code,
        "message": letter.message,
        "attempts": letter.attempts,
        "signal": letter.signal,
        "items": letter.items,
        "bytes": letter.bytes,
        "tenant": letter.tenant,
        "metadata": {name: list(values) for name, values in letter.metadata.items()},
        "received_at": _time(letter.received_at) if letter.received_at else None,
        "replayed_at": None if letter.replayed_at is None else _time(letter.replayed_at),
        "key": letter.key,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _printable(text: str) -> str:
    """Return foreign text fit for a terminal: no control characters."""
    return "".join(c if c.isprintable() else " " for c in text)
