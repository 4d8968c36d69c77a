"""What tests do where a peer cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.peers.cache import PeerUnavailable

__all__ = ["peer_or_skip"]


@contextmanager
def peer_or_skip() -> Iterator[None]:
    """Skip the test with the reason where what is asked for in here cannot be had."""
    try:
        yield
    except PeerUnavailable as reason:
        pytest.skip(str(reason))
