"""Dead letters in the directory of a ``file_storage``."""

from __future__ import annotations

from pathlib import Path

import pytest

from untrace_pipeline.api import Kind, Workers
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery.storage import DeadLetter, DeadLetterStorage
from untrace_pipeline.testing import RecordingMeter, StubHost, make_batch, make_settings
from untrace_plugins.extensions.file_storage import FACTORY
from untrace_plugins.extensions.file_storage.extension import FileStorage


def make(path: Path, meter: RecordingMeter | None = None, **options: object) -> FileStorage:
    config = FACTORY.config.model_validate({"directory": str(path), **options})
    storage = FACTORY.create(config, make_settings(Kind.EXTENSION, "file_storage", signals=(), meter=meter))
    assert isinstance(storage, FileStorage)
    return storage


def letter(key: str, failed_at: float = 2e9) -> DeadLetter:
    return DeadLetter(
        exporter="otlp_http",
        destination="localhost:4318",
        reason="permanent",
        code="INVALID_ARGUMENT",
        message="no",
        attempts=1,
        failed_at=failed_at,
        received_at=0.0,
        signal=Signal.TRACES,
        items=10,
        payload=make_batch(Signal.TRACES, 10).to_otlp(),
        key=key,
    )


async def test_storage_keeps_dead_letters(tmp_path: Path) -> None:
    """What is buried is there after a restart, in one database in the directory; without letters there is none."""
    first = make(tmp_path)
    assert isinstance(first, DeadLetterStorage)
    await first.start(StubHost())
    assert not (tmp_path / "dead_letters.db").exists()
    await first.dead_letters().bury([letter("a")])
    await first.shutdown()
    second = make(tmp_path)
    await second.start(StubHost())
    assert [one.key for one in await second.dead_letters().find()] == ["a"]
    await second.shutdown()


async def test_workers_share_the_letters(tmp_path: Path) -> None:
    """All worker processes bury into the same database, whatever their own directories."""
    workers = [make(tmp_path) for _ in range(2)]
    for index, one in enumerate(workers):
        await one.start(StubHost(workers=Workers(index, 2)))
    for index, one in enumerate(workers):
        await one.dead_letters().bury([letter(f"worker {index}")])
    assert {one.key for one in await workers[0].dead_letters().find()} == {"worker 0", "worker 1"}
    for one in workers:
        await one.shutdown()


async def test_letters_of_a_storage_that_is_not_started(tmp_path: Path) -> None:
    """The command line reads and writes beside a running daemon, which has the directory locked."""
    daemon, beside = make(tmp_path), make(tmp_path)
    await daemon.start(StubHost())
    await daemon.dead_letters().bury([letter("a"), letter("b")])
    store = beside.dead_letters()
    found = await store.find()
    await store.remove([found[0].id])
    assert [one.key for one in await daemon.dead_letters().find()] == ["b"]
    await store.close()
    await daemon.shutdown()


async def test_old_letters_are_removed_at_start(tmp_path: Path) -> None:
    """The limits of the configuration hold: a letter older than max_age goes without anybody asking, and is counted."""
    first = make(tmp_path, dead_letters={"max_age": "0s"})
    await first.start(StubHost())
    await first.dead_letters().bury([letter("old", failed_at=1.0), letter("new")])
    await first.shutdown()
    meter = RecordingMeter()
    second = make(tmp_path, meter, dead_letters={"max_age": "1h"})
    await second.start(StubHost())
    await second.dead_letters().open()
    await second.shutdown()
    third = make(tmp_path)
    assert [one.key for one in await third.dead_letters().find()] == ["new"]
    await third.shutdown()
    assert meter.value("dead_letters_purged", exporter="otlp_http", reason="age") == 10


@pytest.mark.parametrize("options", [{"max_size": "1KiB"}, {"max_age": "-1s"}, {"max_bytes": "1GiB"}])
def test_wrong_options(options: dict[str, str]) -> None:
    """Caps have bounds."""
    with pytest.raises(ValueError, match=next(iter(options))):
        FACTORY.config.model_validate({"dead_letters": options})
