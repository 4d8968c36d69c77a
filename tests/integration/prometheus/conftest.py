"""The real Prometheus, or a skip with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.peers import daemon_command, peer_or_skip, prometheus_binaries


@pytest.fixture(scope="session")
def binaries() -> Path:
    with peer_or_skip():
        daemon_command()
        return prometheus_binaries(build=False)
