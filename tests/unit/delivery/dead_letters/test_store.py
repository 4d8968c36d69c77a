"""The store: what is kept, found, removed, and what gives way."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from tests.unit.delivery.dead_letters.conftest import MEBIBYTE, NOW, Clock, Make, every, incompressible, letter
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery.dead_letters import Amount, LetterFilter, store
from untrace_pipeline.errors import PermanentError, RetryableError, StartError
from untrace_pipeline.testing import RecordingMeter, make_batch


async def test_letter_comes_back_as_it_was(make: Make) -> None:
    """Every field and every byte of a letter are there after the store was closed and opened again."""
    original = letter(
        1,
        received_at=NOW - 7,
        attempts=5,
        message="HTTP 400: <html>\nno such project\n</html>",
        tenant="acme",
        metadata={"x-tenant": ("acme",), "accept-language": ("de", "en")},
        signal=Signal.LOGS,
        payload=make_batch(Signal.LOGS, 3).to_otlp(),
        items=3,
    )
    first = make()
    await first.bury([original])
    await first.close()
    second = make()
    (found,) = await second.find()
    for name in ("exporter", "destination", "reason", "code", "message", "attempts", "failed_at", "received_at"):
        assert getattr(found, name) == getattr(original, name), name
    assert (found.signal, found.items, found.tenant, found.key) == (Signal.LOGS, 3, "acme", "key-1")
    assert dict(found.metadata) == original.metadata
    assert found.bytes == len(original.payload)
    assert await second.payload(found) == original.payload


async def test_letters_are_found_in_order_page_by_page(make: Make) -> None:
    """Letters come back in the order in which they were buried, with ids that grow, whatever their times."""
    store = make()
    for number in (5, 3, 8, 1, 7, 2, 9):
        await store.bury([letter(number)])
    found = await every(store)
    assert [one.key for one in found] == [f"key-{number}" for number in (5, 3, 8, 1, 7, 2, 9)]
    assert [one.id for one in found] == sorted({one.id for one in found})


async def test_reading_makes_nothing(make: Make, tmp_path: Path) -> None:
    """Looking into a store that does not exist finds nothing and leaves no file behind."""
    store = make()
    assert await store.find() == []
    assert await store.totals() == {}
    assert await store.signals() == {}
    assert await store.remove([1]) == Amount()
    assert list(tmp_path.iterdir()) == []


async def test_reading_a_closed_store_leaves_no_files(make: Make, tmp_path: Path) -> None:
    """Looking into a store that nobody has open leaves neither a log nor a memory file of SQLite behind."""
    first = make()
    await first.bury([letter(1)])
    await first.close()
    before = sorted(path.name for path in tmp_path.iterdir())
    second = make()
    assert len(await second.find()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert not [name for name in before if name.endswith(("-wal", "-shm"))]


async def test_a_reader_sees_what_others_write_meanwhile(make: Make) -> None:
    """A reader that began while nobody had the store open sees every letter that another store buries later."""
    first = make()
    await first.bury([letter(1)])
    await first.close()
    reader, writer = make(), make()
    assert len(await reader.find()) == 1
    for number in range(2, 6):
        await writer.bury([letter(number)])
        assert len(await reader.find()) == number
    await writer.close()
    assert len(await reader.find()) == 5


async def test_nobody_else_may_read_the_file(make: Make, tmp_path: Path) -> None:
    """The database holds prompts: only its owner may read it, whatever the umask says."""
    mask = os.umask(0)
    try:
        await make().bury([letter(1)])
    finally:
        os.umask(mask)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
async def test_root_leaves_no_files_behind_that_the_daemon_cannot_use(make: Make, tmp_path: Path) -> None:
    """What a command that root runs makes, belongs to whom the directory belongs."""
    os.chown(tmp_path, 12345, 54321)
    store = make()
    await store.bury([letter(1)])
    assert len(list(tmp_path.iterdir())) >= 3
    for path in tmp_path.iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321), path


async def test_letters_of_many_callers_are_committed_together(make: Make) -> None:
    """Many exporters may bury at once; each returns when its letters are there, and none is lost or doubled."""
    store = make()

    async def bury(number: int) -> None:
        await store.bury([letter(number), letter(number + 1000)])
        assert await store.totals(LetterFilter(since=NOW + number, until=NOW + number + 0.5)) != {}

    await asyncio.gather(*(bury(number) for number in range(50)))
    keys = [one.key for one in await every(store)]
    assert len(keys) == len(set(keys)) == 100


async def test_several_stores_share_a_database(make: Make) -> None:
    """Stores of several processes may bury and remove at the same time."""
    stores = [make() for _ in range(4)]
    await asyncio.gather(*(one.bury([letter(n)]) for n in range(40) for one in [stores[n % 4]]))
    ids = [one.id for one in await every(stores[0])]
    assert len(ids) == 40
    await asyncio.gather(*(one.remove(ids[n::4]) for n, one in enumerate(stores)))
    assert await every(stores[1]) == []


FILTERS = {
    "exporter": (LetterFilter(exporters=["file"]), {1}),
    "pattern": (LetterFilter(exporters=["otlp*/*"]), {0, 2, 3}),
    "exporters": (LetterFilter(exporters=["file", "otlp_grpc/*"]), {1, 2}),
    "reason": (LetterFilter(reasons=["expired"]), {2}),
    "reasons": (LetterFilter(reasons=["expired", "too_large"]), {2, 3}),
    "code": (LetterFilter(codes=["UNAVAILABLE"]), {2}),
    "signal": (LetterFilter(signals=[Signal.LOGS]), {1}),
    "tenant": (LetterFilter(tenants=["acme"]), {3}),
    "since": (LetterFilter(since=NOW + 20), {2, 3}),
    "until": (LetterFilter(until=NOW + 20), {0, 1}),
    "both": (LetterFilter(since=NOW + 10, until=NOW + 30), {1, 2}),
    "ids": (LetterFilter(ids=[1, 4, 77]), {0, 3}),
    "all conditions": (LetterFilter(ids=[1, 3, 4], reasons=["expired"], since=NOW), {2}),
    "none": (LetterFilter(), {0, 1, 2, 3}),
    "quotes": (LetterFilter(exporters=["'; DROP TABLE letters; --"]), set()),
}


@pytest.mark.parametrize("name", FILTERS)
async def test_filters(make: Make, name: str) -> None:
    """Each condition finds the letters that it describes; several are all to hold; totals agree with the list."""
    chosen, expected = FILTERS[name]
    store = make()
    await store.bury(
        [
            letter(0, failed_at=NOW),
            letter(1, failed_at=NOW + 10, exporter="file", signal=Signal.LOGS),
            letter(2, failed_at=NOW + 20, exporter="otlp_grpc/a", reason="expired", code="UNAVAILABLE"),
            letter(3, failed_at=NOW + 30, reason="too_large", tenant="acme", items=1),
        ]
    )
    found = await every(store, chosen)
    assert {int(one.key.removeprefix("key-")) for one in found} == expected
    totals = sum((await store.totals(chosen)).values(), Amount())
    assert totals == Amount(len(found), sum(one.items for one in found), sum(one.bytes for one in found))
    assert sum((await store.signals(chosen)).values(), Amount()) == totals


async def test_totals_by_exporter_and_reason(make: Make) -> None:
    """Totals follow what is buried and removed."""
    store = make()
    await store.bury([letter(1), letter(2, items=5), letter(3, reason="expired"), letter(4, exporter="file")])
    totals = await store.totals()
    assert {key: (amount.letters, amount.items) for key, amount in totals.items()} == {
        ("otlp_http/backend", "permanent"): (2, 15),
        ("otlp_http/backend", "expired"): (1, 10),
        ("file", "permanent"): (1, 10),
    }
    removed = await store.remove([one.id for one in await every(store, LetterFilter(reasons=["permanent"]))])
    assert (removed.letters, removed.items) == (3, 25)
    assert set(await store.totals()) == {("otlp_http/backend", "expired")}
    assert await store.totals() == await store.totals(LetterFilter(since=0))


async def test_payload_of_a_removed_letter(make: Make) -> None:
    """A letter that another process has removed has no payload any more; that is no error."""
    store = make()
    await store.bury([letter(1)])
    (found,) = await store.find()
    await store.remove([found.id])
    assert await store.payload(found) is None


async def test_ids_never_come_again(make: Make) -> None:
    """A letter that comes after all others were removed has a greater id: a replay knows new ones by it."""
    store = make()
    await store.bury([letter(1)])
    (first,) = await store.find()
    await store.remove([first.id])
    await store.bury([letter(2)])
    (second,) = await store.find()
    assert second.id > first.id


async def test_credentials_are_not_kept(make: Make, tmp_path: Path) -> None:
    """Headers whose names say that they carry credentials are not stored, in any form; others are."""
    names = ["Authorization", "x-api-key", "cookie", "x-honeycomb-team", "dd-api-key", "x-auth-token", "apikey"]
    names += ["proxy-authorization", "x-goog-api-key", "x-amz-security-token", "api_key", "x-client-secret"]
    plain = {"x-tenant": ("acme",), "traceparent": ("00-1-2-3",), "user-agent": ("sdk",), "x-author": ("jane",)}
    plain |= {"x-session-id": ("s1",), "x-auth-request-user": ("jane",), "monkey": ("no",)}
    store = make()
    secrets = {name.lower(): ("hunter2secret",) for name in names}
    await store.bury([letter(1, metadata=secrets | plain)])
    (found,) = await store.find()
    assert dict(found.metadata) == plain
    await store.close()
    assert b"hunter2secret" not in (tmp_path / "dead_letters.db").read_bytes()


async def test_text_that_is_no_text(make: Make) -> None:
    """Headers and answers may bring bytes that are no characters: the letter is kept all the same."""
    store = make()
    await store.bury([letter(1, tenant="caf\udce9", message="\udcff\x00", metadata={"x-a": ("\udce9",)})])
    (found,) = await store.find()
    assert found.tenant == "caf\\udce9"
    assert found.message == "\udcff\x00"


async def test_size_cap_drops_the_oldest(make: Make, tmp_path: Path, meter: RecordingMeter) -> None:
    """With the cap reached, the oldest letters of all exporters make room, counted in items; the file stays bounded."""
    store = make(max_bytes=4 * MEBIBYTE)
    size = 256 * 1024
    for number in range(60):
        await store.bury([letter(number, payload=incompressible(size, number), exporter=f"e{number % 2}")])
    kept = [int(one.key.removeprefix("key-")) for one in await every(store)]
    assert kept == list(range(60 - len(kept), 60))
    assert 10 <= len(kept) <= 4 * MEBIBYTE // size
    assert (tmp_path / "dead_letters.db").stat().st_size <= 4 * MEBIBYTE + size
    await store.close()
    purged = {e: meter.value("dead_letters_purged", exporter=e, reason="size") for e in ("e0", "e1")}
    assert sum(purged.values()) == 10 * (60 - len(kept))
    assert sum(meter.value("dead_letters", exporter=e) for e in ("e0", "e1")) == 10 * len(kept)


async def test_letter_larger_than_the_store(make: Make, meter: RecordingMeter) -> None:
    """A letter that can never fit is purged itself, and does not push out the others."""
    store = make(max_bytes=MEBIBYTE)
    await store.bury([letter(1)])
    await store.bury([letter(2, payload=incompressible(2 * MEBIBYTE)), letter(3)])
    assert [one.key for one in await every(store)] == ["key-1", "key-3"]
    await asyncio.sleep(0)
    assert meter.value("dead_letters_purged", reason="size") == 10


async def test_lowered_cap_is_enforced_in_steps(make: Make) -> None:
    """A store that is much larger than its new cap shrinks while it is open, a transaction after the other."""
    first = make()
    for number in range(12):
        await first.bury([letter(number, payload=incompressible(2 * MEBIBYTE, number))])
    await first.close()
    second = make(max_bytes=4 * MEBIBYTE)
    await second.open()
    async with asyncio.timeout(20):
        while len(await every(second)) > 1:
            await asyncio.sleep(0.01)
        assert [one.key for one in await every(second)] == ["key-11"]


async def test_age_cap(make: Make, clock: Clock, meter: RecordingMeter, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older than the cap is purged while the store is open, and counted."""
    monkeypatch.setattr(store, "TEND_SECONDS", 0.01)
    letters = make(max_age=3600.0)
    await letters.bury([letter(0, failed_at=NOW - 100), letter(1, failed_at=NOW)])
    clock.now = NOW + 3550
    async with asyncio.timeout(20):
        while len(await letters.find()) > 1:
            await asyncio.sleep(0.01)
    assert [one.key for one in await every(letters)] == ["key-1"]
    await letters.close()
    assert meter.value("dead_letters_purged", reason="age", exporter="otlp_http/backend") == 10


async def test_space_comes_back(make: Make, tmp_path: Path) -> None:
    """After most letters are gone, the file becomes small again."""
    store = make()
    for number in range(20):
        await store.bury([letter(number, payload=incompressible(MEBIBYTE, number))])
    await store.remove([one.id for one in await every(store)])
    await store.give_back()
    await store.close()
    assert (tmp_path / "dead_letters.db").stat().st_size < 10 * MEBIBYTE


async def test_gauges(make: Make, meter: RecordingMeter) -> None:
    """The gauges show what is held, also what another process added."""
    store, other = make(), make()
    await store.open()
    await other.bury([letter(1), letter(2, exporter="file")])
    await store.bury([letter(3)])
    await asyncio.sleep(0)
    assert meter.value("dead_letters", exporter="otlp_http/backend") == 20
    assert meter.value("dead_letters", exporter="file") == 10
    assert meter.value("dead_letters_bytes") > 0


async def test_foreign_file_is_left_alone(make: Make, tmp_path: Path) -> None:
    """A database of something else, or of a newer version, is neither changed nor moved; the error says what it is."""
    path = tmp_path / "dead_letters.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (a)")
    connection.close()
    content = path.read_bytes()
    store = make()
    with pytest.raises(RetryableError, match="database of something else"):
        await store.bury([letter(1)])
    with pytest.raises(StartError, match="database of something else"):
        await store.start()
    with pytest.raises(PermanentError, match="database of something else"):
        await store.find()
    assert path.read_bytes() == content


async def test_newer_version_is_left_alone(make: Make, tmp_path: Path) -> None:
    """Tables of a newer version are not touched, and the error says so."""
    first = make()
    await first.bury([letter(1)])
    await first.close()
    with sqlite3.connect(tmp_path / "dead_letters.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    second = make()
    with pytest.raises(RetryableError, match="newer version"):
        await second.bury([letter(2)])
    with pytest.raises(StartError, match="newer version"):
        await second.start()
    with pytest.raises(PermanentError, match="newer version"):
        await second.find()
