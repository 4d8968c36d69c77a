"""Who may use a directory, and who a journal."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.api import Kind, StartError, Workers
from untrace_pipeline.testing import StubHost, make_settings
from untrace_plugins.extensions.file_storage import FACTORY
from untrace_plugins.extensions.file_storage.directory import Directory, folder_name

HOLD = """
import fcntl, os, sys
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
os.write(lock, str(os.getpid()).encode())
print("locked", flush=True)
sys.stdin.read()
"""


def make(path: Path, **options: Any) -> Any:
    config = FACTORY.config.model_validate({"directory": str(path), "timeout": "0s", **options})
    return FACTORY.create(config, make_settings(Kind.EXTENSION, "file_storage", signals=()))


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has locked the directory, until its stdin is closed."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


async def test_another_process_is_named(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    """A directory in use by another process stops the start, with the process id of who has it."""
    with pytest.raises(StartError, match=rf"extension file_storage: .*in use by process {other.pid}"):
        await make(tmp_path).start(StubHost())
    other.communicate()
    extension = make(tmp_path)
    await extension.start(StubHost())
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    await extension.shutdown()


async def test_a_reload_shares_the_lock(tmp_path: Path) -> None:
    """A second extension of the process may start before the first one stops."""
    old, new = make(tmp_path), make(tmp_path)
    await old.start(StubHost())
    await new.start(StubHost())
    await old.shutdown()
    await old.shutdown()
    directory = await Directory.acquire(tmp_path, 0)
    directory.release()
    await new.shutdown()


async def test_a_missing_directory_stops_the_start(tmp_path: Path) -> None:
    """The message says what would create it; told to, the extension creates it with its permissions."""
    path = tmp_path / "a" / "b"
    with pytest.raises(StartError, match="No such file or directory; create_directory: true would create it"):
        await make(path).start(StubHost())
    extension = make(path, create_directory=True, directory_permissions="0700")
    await extension.start(StubHost())
    assert path.stat().st_mode & 0o777 == 0o700
    await extension.shutdown()


async def test_a_file_in_place_of_the_directory_stops_the_start(tmp_path: Path) -> None:
    """The message says what is in the way, and proposes nothing that is done already."""
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"cannot use the directory .*/file: there is a file of that name$"):
        await make(tmp_path / "file", create_directory=True).start(StubHost())
    with pytest.raises(StartError, match=r"Not a directory$"):
        await make(tmp_path / "file" / "deeper", create_directory=True).start(StubHost())


async def test_workers_have_directories_of_their_own(tmp_path: Path) -> None:
    """Each of several workers locks its own directory, and those of former workers that are its to finish."""
    for name in ("worker-0", "worker-1", "worker-2", "worker-3", "worker-x", "other"):
        (tmp_path / name).mkdir()
    expected = {0: ["worker-0", ".", "worker-2"], 1: ["worker-1", "worker-3"]}
    for index, names in expected.items():
        extension = make(tmp_path)
        await extension.start(StubHost(workers=Workers(index, 2)))
        assert [d.path for d in extension._directories] == [tmp_path / name for name in names]
        await extension.shutdown()


async def test_a_journal_has_one_owner_at_a_time(tmp_path: Path) -> None:
    """The next owner waits until the present one lets go; a cancelled one leaves no trace."""
    directory = await Directory.acquire(tmp_path, 0)
    await directory.own("a")
    await directory.own("b")
    waiting = [asyncio.create_task(directory.own("a")) for _ in range(2)]
    await asyncio.sleep(0)
    assert directory.owned("a")
    waiting[0].cancel()
    directory.disown("a")
    await waiting[1]
    assert directory.owned("a")
    directory.disown("a")
    assert not directory.owned("a")
    directory.release()


def test_names_of_folders_are_readable() -> None:
    """Usual names look like themselves; the others are safe."""
    assert folder_name("exporters/otlp_grpc/backend-1") == "exporters+otlp_grpc+backend-1"
    assert folder_name("..") == "%2E."
    assert folder_name("a+b c%") == "a%2Bb%20c%25"
    assert folder_name("ü") == "%C3%BC"


@given(st.lists(st.text(max_size=300), unique=True, max_size=10))
def test_names_of_folders_differ(names: list[str]) -> None:
    """Different names have different folders, and every one is a valid name."""
    folders = [folder_name(name) for name in names if name]
    assert len(set(folders)) == len(folders)
    for folder in folders:
        assert len(folder.encode()) <= 255
        assert "/" not in folder
        assert folder not in {".", ".."}
