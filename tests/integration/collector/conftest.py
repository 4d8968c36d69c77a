"""Our daemon and the real Collector, or a skip with the reason."""

from __future__ import annotations

import pytest

from tests.support.peers import collector_binary, daemon_command, peer_or_skip


@pytest.fixture(scope="session")
def both_daemons() -> None:
    """Skip where one of them is not to be had."""
    with peer_or_skip():
        collector_binary(build=False)
        daemon_command()
