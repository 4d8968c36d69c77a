"""A fresh world of fake components for each test of the engine."""

from __future__ import annotations

import pytest

from tests.support.components import World, new_world


@pytest.fixture
def world() -> World:
    """What the fakes of this test do."""
    return new_world()
