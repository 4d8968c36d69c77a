"""A directory as a store: files are whole or absent, whatever happens."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.exporters import QUICK_RETRY, running
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.object_store import FACTORY
from untrace_plugins.stores import ObjectStore, StoreConfig, StoredObject, open_store


def store(path: Path, **options: Any) -> ObjectStore:
    return open_store(StoreConfig.model_validate({"url": f"file://{path}"} | options), logging.getLogger(__name__))


def files(path: Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*") if one.is_file())


async def test_permissions(tmp_path: Path) -> None:
    """Directories and files have the permissions that the options name."""
    permissions = {"directory_permissions": "0750", "file_permissions": "0640"}
    await store(tmp_path / "a", file=permissions).put(StoredObject("b/c", b"1"))
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "a/b/c").stat().st_mode & 0o777 == 0o640


async def test_spaces_in_the_url(tmp_path: Path) -> None:
    """The path of a URL may be percent-encoded."""
    one = open_store(StoreConfig(url=f"file://{tmp_path}/a%20b"), logging.getLogger(__name__))
    await one.put(StoredObject("c", b"1"))
    assert files(tmp_path) == ["a b/c"]
    assert one.locate("c") == f"file://{tmp_path}/a b/c"


@pytest.mark.parametrize("create_only", [True, False])
@pytest.mark.parametrize("name", ["fsync", "replace", "link"])
async def test_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, create_only: bool
) -> None:
    """Wherever the disk fails, there is no half object, and the next attempt succeeds."""
    one = store(tmp_path, create_only=create_only)
    real = getattr(os, name)
    failed = False

    def fail_once(*arguments: Any, **options: Any) -> Any:
        nonlocal failed
        if not failed:
            failed = True
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, fail_once)
    used = {"fsync": True, "replace": not create_only, "link": create_only}[name]
    if used:
        with pytest.raises(OSError, match="Input/output error"):
            await one.put(StoredObject("a/b", b"1"))
        assert files(tmp_path) == []
    assert await one.put(StoredObject("a/b", b"1"))
    assert files(tmp_path) == ["a/b"]


async def test_attempt_that_was_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread may still be writing: that spoils nothing for the attempt after it."""
    begun, go_on = threading.Event(), threading.Event()
    fsync = os.fsync

    def slow(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        begun.set()
        assert go_on.wait(30)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    one = store(tmp_path)
    first = asyncio.create_task(one.put(StoredObject("a", b"1")))
    await asyncio.to_thread(begun.wait)
    assert await one.put(StoredObject("a", b"1"))
    go_on.set()
    assert not await first
    assert files(tmp_path) == ["a"]


async def test_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where links are not permitted a file is moved, if there is none."""

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    one = store(tmp_path)
    assert await one.put(StoredObject("a", b"1"))
    assert not await one.put(StoredObject("a", b"2"))
    assert (tmp_path / "a").read_bytes() == b"1"
    assert files(tmp_path) == ["a"]


async def test_full_disk(small_disk: Path) -> None:
    """Data waits while the disk is full, and is stored, whole and once, when there is room."""
    (small_disk / "ballast").write_bytes(bytes(3_900_000))
    batch = make_batch(items=2000)
    assert batch.byte_size > 600_000
    queue = {"batch": None, "num_consumers": 1}
    options = {"url": f"file://{small_disk}/archive", "format": "otlp_proto", "retry_on_failure": QUICK_RETRY}
    async with running(FACTORY, options | {"sending_queue": queue}) as exporter:
        await exporter.consume(batch)
        await exporter.until(lambda: exporter.meter.value("exporter_retries") > 1)
        assert exporter.exporter.pending_items() == 2000
        (small_disk / "ballast").unlink()
        await exporter.until_idle()
    (name,) = files(small_disk)
    assert Batch(Signal.TRACES, (small_disk / name).read_bytes()).item_count == 2000
    assert not exporter.dropped
