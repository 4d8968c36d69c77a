"""What holds for every test of servers and clients."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _nothing_left_for_others() -> Iterator[None]:
    """Sockets that a test forgot are found when it ends, not in another test that happens to collect them."""
    yield
    gc.collect()
