"""Configurations of the Collector run unchanged; the real Collector says that they are its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.peers import peer_or_skip
from tests.support.peers.collector import collector_binary
from untrace_pipeline.config.loader import load

FILES = sorted((Path(__file__).parent / "collector").glob("*.yaml"))
ENVIRON = {
    "MY_POD_IP": "127.0.0.1",
    "CLUSTER_NAME": "blue",
    "VENDOR_TOKEN": "hunter2",
    "CENTRAL_TOKEN": "hunter2",
    "INGEST_USER": "agent",
    "INGEST_PASSWORD": "hunter2",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_loads_unchanged(path: Path) -> None:
    """A Collector's file of components that we have loads as it is; only older spellings are remarked on."""
    warnings = load([str(path)], environ=ENVIRON).warnings
    assert {warning.code for warning in warnings} <= {"other-spelling"}


@pytest.mark.peer
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_a_collector_configuration(path: Path) -> None:
    """The real Collector accepts the same file, so that the test above proves something."""
    with peer_or_skip():
        binary = collector_binary(build=False)
    command = [binary, "validate", "--config", path]
    done = subprocess.run(command, env=os.environ | ENVIRON, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_there_are_enough() -> None:
    """At least five scenarios, with every older spelling that we know."""
    text = "\n".join(path.read_text() for path in FILES)
    assert len(FILES) >= 5
    for spelling in ("otlp:", "otlphttp:", "basicauth/", "bearertokenauth:", "otlpjsonfile:"):
        assert spelling in text
