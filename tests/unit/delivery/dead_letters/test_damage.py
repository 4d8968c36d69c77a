"""Damaged databases: moved aside, mended with what can be read, and never fatal."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
from pathlib import Path

import pytest

from tests.unit.delivery.dead_letters.conftest import Make, every, incompressible, letter
from untrace_pipeline.delivery.dead_letters import DeadLetterStore
from untrace_pipeline.errors import Code, PermanentError

LETTERS = 60
PAGE = 8192


async def fill(make: Make, letters: int = LETTERS) -> None:
    """Bury letters of about three pages each, and close the store."""
    store = make()
    await store.bury([letter(n, payload=incompressible(20_000, n)) for n in range(letters)])
    await store.close()


def database(directory: Path) -> Path:
    return directory / "dead_letters.db"


async def keys(store: DeadLetterStore) -> set[str]:
    return {one.key for one in await every(store)}


async def is_whole(store: DeadLetterStore) -> None:
    """Every letter that is listed can be read, and counts."""
    found = await every(store)
    for one in found:
        payload = await store.payload(one)
        assert payload == incompressible(20_000, int(one.key.removeprefix("key-")))
    assert sum(amount.letters for amount in (await store.totals()).values()) == len(found)


@pytest.mark.parametrize("seed", range(12))
async def test_random_damage(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: int) -> None:
    """Whatever page is overwritten, most letters are saved, new ones are taken, and the damaged file is kept."""
    await fill(make)
    rng = random.Random(seed)
    content = bytearray(database(tmp_path).read_bytes())
    page = rng.randrange(1, len(content) // PAGE)
    content[page * PAGE : (page + 1) * PAGE] = rng.randbytes(PAGE)
    database(tmp_path).write_bytes(content)
    store = make()
    with caplog.at_level(logging.INFO):
        await store.open()
        await store.bury([letter(1000, payload=incompressible(20_000, 1000))])
    await is_whole(store)
    found = await keys(store)
    assert "key-1000" in found
    moved = list((tmp_path / "quarantine").glob("*.db")) if (tmp_path / "quarantine").exists() else []
    if moved:
        assert moved[0].read_bytes()[: len(content)] == bytes(content)
        assert "is damaged" in caplog.text
        assert str(moved[0].name) in caplog.text
    else:
        assert len(found) == LETTERS + 1
    if page > 12:  # a page of payloads, behind the schema and the upper pages of the tables
        assert len(found) >= LETTERS - 1


async def test_bit_flip_in_a_payload(make: Make, tmp_path: Path) -> None:
    """A flipped bit in a request is noticed when it is read; the other letters are not touched."""
    await fill(make)
    content = bytearray(database(tmp_path).read_bytes())
    place = content.index(incompressible(20_000, 7)[100:140])
    content[place] ^= 4
    database(tmp_path).write_bytes(content)
    store = make()
    await store.open()
    for one in await every(store):
        if one.key == "key-7":
            with pytest.raises(PermanentError, match="damaged") as raised:
                await store.payload(one)
            assert raised.value.code is Code.DATA_LOSS
        else:
            assert await store.payload(one) is not None
    assert len(await keys(store)) == LETTERS


async def test_destroyed_header(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is no database any more is moved aside, and the store goes on empty."""
    await fill(make)
    content = database(tmp_path).read_bytes()
    database(tmp_path).write_bytes(b"\0" * PAGE + content[PAGE:])
    store = make()
    await store.bury([letter(1000)])
    assert await keys(store) == {"key-1000"}
    assert "is damaged (file is not a database)" in caplog.text
    (moved,) = (tmp_path / "quarantine").glob("*.db")
    assert moved.stat().st_size == len(content)


@pytest.mark.parametrize("size", [0, 100, PAGE, 20 * PAGE])
async def test_truncated(make: Make, tmp_path: Path, size: int) -> None:
    """A file that was cut off is no obstacle."""
    await fill(make)
    with database(tmp_path).open("r+b") as file:
        file.truncate(size)
    store = make()
    await store.open()
    await store.bury([letter(1000, payload=incompressible(20_000, 1000))])
    await is_whole(store)
    assert "key-1000" in await keys(store)


async def test_ids_go_on_after_damage(make: Make, tmp_path: Path) -> None:
    """Letters that are saved keep their ids, and new ones get greater ones than any had."""
    await fill(make)
    overwrite_last_page(tmp_path)
    store = make()
    await store.open()
    await store.bury([letter(1000, payload=incompressible(20_000, 1000))])
    found = await every(store)
    assert all(one.id == int(one.key.removeprefix("key-")) + 1 for one in found[:-1])
    assert found[-1].id > LETTERS


def overwrite_last_page(directory: Path) -> None:
    content = bytearray(database(directory).read_bytes())
    content[-PAGE:] = b"\xff" * PAGE
    database(directory).write_bytes(content)


async def test_several_processes_find_the_same_damage(make: Make, tmp_path: Path) -> None:
    """Stores that have the database open when it is damaged agree on one new one; none writes to the old one."""
    stores = [make() for _ in range(3)]
    await stores[0].bury([letter(n, payload=incompressible(20_000, n)) for n in range(LETTERS)])
    for one in stores:
        await one.open()
    with database(tmp_path).open("r+b") as file:
        file.write(b"\xff" * database(tmp_path).stat().st_size)
    (tmp_path / "dead_letters.db-wal").write_bytes(b"\xff" * 5000)
    numbers = range(1000, 1009)
    await asyncio.gather(
        *(stores[n % 3].bury([letter(n, payload=incompressible(20_000, n))]) for n in numbers), return_exceptions=True
    )
    after = range(2000, 2009)
    for n in after:
        await stores[n % 3].bury([letter(n, payload=incompressible(20_000, n))])
    for one in stores:
        assert await keys(one) >= {f"key-{n}" for n in after}
        await is_whole(one)


async def test_reading_damage_says_what_to_do(make: Make, tmp_path: Path) -> None:
    """Who only reads gets an error that names the file, and changes nothing."""
    await fill(make)
    database(tmp_path).write_bytes(b"\xff" * PAGE * 4)
    store = make()
    with pytest.raises(PermanentError, match=r"dead_letters\.db: file is not a database") as raised:
        await store.find()
    assert raised.value.code is Code.DATA_LOSS
    assert database(tmp_path).read_bytes() == b"\xff" * PAGE * 4


async def test_interrupted_creation(make: Make, tmp_path: Path) -> None:
    """What a process left that died while it made the database is no obstacle."""
    (tmp_path / "dead_letters.db.new").write_bytes(b"half")
    store = make()
    await store.bury([letter(1)])
    assert await keys(store) == {"key-1"}
    assert not (tmp_path / "dead_letters.db.new").exists()


async def test_database_that_was_taken_away(make: Make, tmp_path: Path) -> None:
    """A database that somebody removed or put back while it was open is made anew, or used: writing goes on."""
    store = make()
    await store.bury([letter(1)])
    shutil.move(database(tmp_path), tmp_path / "backup.db")
    for name in ("-wal", "-shm"):
        (tmp_path / f"dead_letters.db{name}").unlink()
    await store.bury([letter(2)])
    assert await keys(store) == {"key-2"}
