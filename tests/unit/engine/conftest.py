"""A fresh world of fake components for each test of the engine."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.components import World, new_world


@pytest.fixture
def world() -> World:
    """What the fakes of this test do."""
    return new_world()


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """Where the service of a test logs; logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for handler in handlers:
        root.removeHandler(handler)
    yield tmp_path / "daemon.log"
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)
