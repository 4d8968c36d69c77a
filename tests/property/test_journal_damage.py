"""Whatever happens to the files of a journal between two runs costs what lies in the damaged bytes, nothing else."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.journals import append_all, ledger_of, open_journal, record, take_all
from untrace_pipeline.delivery.storage import Record
from untrace_plugins.extensions.file_storage.crypt import Keys
from untrace_plugins.extensions.file_storage.files import Files
from untrace_plugins.extensions.file_storage.layout import BLOCK_SIZE, parse_header
from untrace_plugins.extensions.file_storage.scanner import Found, Scanner

Content = tuple[bytes, bytes, int, float]


def content(one: Record) -> Content:
    return one.header, one.payload, one.items, one.time


@dataclass(frozen=True)
class Spot:
    """Where a record lies."""

    file: Path
    begin: int
    data: bytes


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="untrace-damage-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def spots(path: Path, written: dict[int, Content]) -> dict[int, Spot]:
    """Return where each record lies, by its place."""
    found: dict[int, Spot] = {}
    files = Files()
    for file in sorted(path.glob("*.seg")):
        data = file.read_bytes()
        header = parse_header(data)
        assert header is not None
        handle = files.open_to_read(file)
        scanner = Scanner(files, handle, header.mark)
        begin = BLOCK_SIZE
        while isinstance(one := scanner.next(len(data)), Found):
            found[int(file.stem) << 32 | one.head.ordinal] = Spot(file, begin, data[begin : scanner.offset])
            begin = scanner.offset
        files.close(handle)
    return {place: spot for place, spot in found.items() if place in written}


# --------------------------------------------------------------------- damage


def flip(path: Path, at: float, bit: int) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[int(at * len(data))] ^= 1 << bit
        path.write_bytes(data)


def zero(path: Path, at: float, size: int) -> None:
    data = bytearray(path.read_bytes())
    begin = int(at * len(data))
    data[begin : begin + size] = bytes(len(data[begin : begin + size]))
    path.write_bytes(data)


def truncate(path: Path, at: float, _: int) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(at * len(data))])


def extend(path: Path, _: float, size: int) -> None:
    path.write_bytes(path.read_bytes() + b"\xf5uR\x1a" * size)


def delete(path: Path, *_: Any) -> None:
    path.unlink()


def replace_by_directory(path: Path, *_: Any) -> None:
    path.unlink()
    path.mkdir()


def swap(path: Path, at: float, _: int) -> None:
    """The file has the content of another one of the journal."""
    others = sorted(other for other in path.parent.iterdir() if other.is_file())
    path.write_bytes(others[int(at * len(others))].read_bytes())


DAMAGES = st.lists(
    st.tuples(
        st.sampled_from([flip, flip, flip, zero, truncate, extend, delete, replace_by_directory, swap]),
        st.floats(0, 1, exclude_max=True),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 7) | st.integers(0, 600),
    ),
    min_size=1,
    max_size=8,
)


def spoil(path: Path, damages: list[tuple[Any, float, float, int]]) -> None:
    for damage, which, at, size in damages:
        files = sorted(found for found in path.iterdir() if found.is_file())
        if files:
            damage(files[int(which * len(files))], at, size % 8 if damage is flip else size)


# ----------------------------------------------------------------------- test


async def fill(
    path: Path, sizes: list[int], ends: list[bool], keys: Keys | None, *, clean: bool
) -> tuple[dict[int, Content], set[int]]:
    """Write records, end some; return the content of each by place, and the places that ended."""
    home = path if clean else path / "alive"
    journal = await open_journal(home, segment_size=2048, keys=keys)
    records = [record(number, size) for number, size in enumerate(sizes)]
    await append_all(journal, records)
    ended = set()
    for one, end in zip(await take_all(journal), ends, strict=False):
        if end:
            ended.add(one.place)
            journal.end(
                one, {"delivered": one.items} if one.items == 1 else {"delivered": one.items - 1, "rejected": 1}
            )
    if not clean:
        journal._flush()
        await asyncio.sleep(0.02)
        for file in home.iterdir():
            shutil.copy(file, path)
    await journal.close()
    if not clean:
        shutil.rmtree(home)
    return {one.place: content(one) for one in records}, ended


async def check(
    path: Path, sizes: list[int], ends: list[bool], damages: Any, keys: Keys | None, *, clean: bool
) -> None:
    written, ended = await fill(path, sizes, ends, keys, clean=clean)
    where = spots(path, written)
    before = {file: file.read_bytes() for file in path.iterdir() if file.is_file()}
    spoil(path, damages)
    after = {file: file.read_bytes() for file in path.iterdir() if file.is_file()}
    intact = {
        place
        for place, spot in where.items()
        if place not in ended and after.get(spot.file, b"")[spot.begin : spot.begin + len(spot.data)] == spot.data
    }
    journal = await open_journal(path, segment_size=2048, keys=keys)
    ledger = ledger_of(journal)
    assert min(ledger.values()) >= 0
    taken = await take_all(journal)
    delivered = Counter(content(one) for one in taken)
    expected = Counter(written[place] for place in intact)
    assert not expected - delivered, "a record that nobody touched is missing"
    assert not set(delivered) - set(written.values()), "something was delivered that nobody wrote"
    if before == after:
        assert delivered == expected
    damaged = journal.take_damaged()
    assert damaged >= 0
    assert journal.held.items == sum(one.items for one in taken)
    assert journal.held.requests == len(taken)
    assert journal.held.bytes == sum(len(one.payload) for one in taken)
    for one in taken:
        journal.end(one, {"delivered": one.items})
    await journal.append(record(10_000))
    await journal.close()
    journal = await open_journal(path, segment_size=2048, keys=keys)
    again = ledger_of(journal)
    [last] = await take_all(journal)
    assert last.header == b"header 10000"
    assert again.total() == ledger.total() + last.items
    assert again["damaged"] == damaged
    assert journal.take_damaged() == 0
    await journal.close()


SIZES = st.lists(st.integers(0, 900), max_size=25)
KEYS = st.sampled_from([None, None, Keys(bytes(range(32)))])


@settings(max_examples=150, deadline=None)
@given(sizes=SIZES, ends=st.lists(st.booleans(), max_size=25), damages=DAMAGES, keys=KEYS, clean=st.booleans())
def test_damage_costs_what_is_damaged(
    sizes: list[int], ends: list[bool], damages: Any, keys: Keys | None, clean: bool
) -> None:
    """After any damage: what is intact arrives as it was, nothing else does, the sums hold, and it goes on."""
    with folder() as path:
        asyncio.run(check(path, sizes, ends, damages, keys, clean=clean))
