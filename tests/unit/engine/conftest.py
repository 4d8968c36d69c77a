"""A fresh world of fake components for each test of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.components import World, new_world
from tests.support.logs import own_logging


@pytest.fixture
def world() -> World:
    """What the fakes of this test do."""
    return new_world()


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """Where the service of a test logs; logging is as before afterwards."""
    with own_logging():
        yield tmp_path / "daemon.log"
