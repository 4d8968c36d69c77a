"""Our daemon and the real Collector, or a skip with the reason."""

from __future__ import annotations

import pytest

from tests.support.peers import PeerUnavailable, collector_binary, daemon_command


@pytest.fixture(scope="session")
def both_daemons() -> None:
    """Skip where one of them is not to be had."""
    try:
        collector_binary(build=False)
        daemon_command()
    except PeerUnavailable as reason:
        pytest.skip(str(reason))
