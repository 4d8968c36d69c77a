"""The place of a process among the workers."""

from __future__ import annotations

import pytest

from untrace_pipeline.api import Workers


@pytest.mark.parametrize(
    ("workers", "name"), [(Workers(), ""), (Workers(0, 2), "worker-0"), (Workers(3, 4), "worker-3")]
)
def test_directory(workers: Workers, name: str) -> None:
    """A single process keeps the layout that it always had; each of several has a directory of its own."""
    assert workers.directory == name


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_orphan_is_adopted_once(count: int) -> None:
    """Whatever number of workers ran before, each directory has exactly one owner or adopter."""
    everybody = [Workers(index, count) for index in range(count)]
    for directory in ["", *(f"worker-{number}" for number in range(12))]:
        takers = [one for one in everybody if directory == one.directory or one.adopts(directory)]
        assert len(takers) == 1, directory


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", ["worker-", "worker-x", "worker--1", "worker-1a", "worker-²", "backup-7", "worker"])
def test_strange_names_are_left_alone(count: int, name: str) -> None:
    """A directory that is no worker's is never touched."""
    assert not any(Workers(index, count).adopts(name) for index in range(count))


def test_nobody_adopts_what_is_its_own() -> None:
    """A process does not count its own directory as an orphan."""
    assert not Workers().adopts("")
    assert not Workers(1, 3).adopts("worker-1")
