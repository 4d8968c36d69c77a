"""The real Prometheus, or a skip with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.peers import PeerUnavailable, daemon_command, prometheus_binaries


@pytest.fixture(scope="session")
def binaries() -> Path:
    try:
        daemon_command()
        return prometheus_binaries(build=False)
    except PeerUnavailable as reason:
        pytest.skip(str(reason))
