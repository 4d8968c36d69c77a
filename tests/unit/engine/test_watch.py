"""Changed files are noticed by their content, with and without the ``watchfiles`` library."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from untrace_pipeline.engine import watch


@pytest.fixture(params=["watchfiles", "polling"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of noticing."""
    if request.param == "polling":
        monkeypatch.setitem(sys.modules, "watchfiles", None)
        monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)
    return str(request.param)


async def test_a_folder_that_is_gone_for_a_while_does_not_end_watching(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration that is unmounted and mounted again is still followed."""
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)
    folder = tmp_path / "mounted"
    folder.mkdir()
    config = folder / "config.yaml"
    config.write_text("one")
    folder.rename(tmp_path / "away")

    async def change() -> None:
        async for _ in watch.watch_files(lambda: [config]):
            return

    task = asyncio.create_task(change())
    await asyncio.sleep(0)  # it looks at the files
    (tmp_path / "away").rename(folder)
    await asyncio.wait_for(task, 20)


async def test_a_new_content_is_noticed_and_an_equal_one_is_not(way: str, tmp_path: Path) -> None:
    """Writing the same again, or swapping a link to an equal file, is no change."""
    first, second, third = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    first.write_text("one")
    second.write_text("one")
    third.write_text("two")
    config = tmp_path / "config.yaml"
    config.symlink_to(first)
    changes: list[None] = []

    async def collect() -> None:
        async for _ in watch.watch_files(lambda: [config]):
            changes.append(None)  # noqa: PERF401  it never ends

    def swap(target: Path) -> None:
        link = tmp_path / "new"
        link.symlink_to(target)
        link.rename(config)

    async def swap_until(target: Path, times: int) -> None:
        while times and not changes:
            swap(target)
            await asyncio.sleep(0.05)
            times -= 1

    task = asyncio.create_task(collect())
    await swap_until(second, 5)
    assert not changes
    await swap_until(third, 400)
    assert len(changes) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
