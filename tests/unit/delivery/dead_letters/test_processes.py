"""Real processes on one database: killed at any moment, at the same time, without room on the disk."""

from __future__ import annotations

import asyncio
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.delivery.dead_letters import burier
from tests.unit.delivery.dead_letters.conftest import Make, every

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of a running process: Linux only")
KILLS = 6
LIMIT_KIB = 512


@contextmanager
def burying(path: Path, prefix: str, *around: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that buries; it is killed in the end."""
    command = [*around, sys.executable, burier.__file__, str(path), prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str], wanted: int, fits: Callable[[str], bool] = bool) -> list[str]:
    """Return lines of a process until enough of them fit."""
    assert process.stdout is not None
    found: list[str] = []
    while sum(map(fits, found)) < wanted:
        line = process.stdout.readline()
        assert line, "the process ended"
        found.append(line.strip())
    return found


def rest(process: subprocess.Popen[str]) -> list[str]:
    """Return what a killed process had still said, whole lines only."""
    assert process.stdout is not None
    return [line.strip() for line in process.stdout.readlines() if line.endswith("\n")]


async def test_kill_loses_nothing_that_was_accepted(make: Make, tmp_path: Path) -> None:
    """Processes that bury into one database are killed at random moments: every letter that was accepted is there."""
    path = tmp_path / "dead_letters.db"
    rng = random.Random(7)
    accepted: list[str] = []
    for number in range(KILLS):
        with burying(path, f"a{number}") as one, burying(path, f"b{number}") as other:
            accepted += lines(one, 3) + lines(other, 3)
            await asyncio.sleep(rng.random() * 0.2)
            one.kill()
            accepted += rest(one) + lines(other, 3)
            other.kill()
            accepted += rest(other)
    store = make()
    await store.open()
    found = [letter.key for letter in await every(store)]
    assert set(accepted) <= set(found)
    assert len(found) == len(set(found))
    assert len(found) - len(set(accepted)) <= 2 * KILLS * 256
    for letter in await store.find(limit=20):
        assert await store.payload(letter) == burier.PAYLOAD
    assert not (tmp_path / "quarantine").exists()


async def test_full_disk(make: Make, tmp_path: Path) -> None:
    """A file that cannot grow refuses letters for the time being, keeps what it has, and takes more when it can."""
    path = tmp_path / "dead_letters.db"
    with burying(path, "x", "bash", "-c", f'ulimit -S -f {LIMIT_KIB}; exec "$0" "$@"') as process:
        said = lines(process, 5, lambda line: line.startswith("refused"))
        assert all(line.startswith("refused RetryableError dead letters in ") for line in said if " " in line)
        accepted = [line for line in said if " " not in line]
        assert len(accepted) > 5
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        said = lines(process, 5, lambda line: " " not in line)
        accepted += [line for line in said if " " not in line]
        process.kill()
        accepted += [line for line in rest(process) if " " not in line]
    store = make()
    await store.open()
    found = {letter.key for letter in await every(store)}
    assert set(accepted) <= found
    assert not (tmp_path / "quarantine").exists()
