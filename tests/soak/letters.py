"""The dead-letter queue of a daemon in an arena, by its own commands."""

from __future__ import annotations

import os
import subprocess
from collections import Counter

from tests.soak.arena import Arena
from tests.support.chaos.items import find_items
from tests.support.peers import daemon_command

PATIENCE_SECONDS = 120


def _run(arena: Arena, *arguments: str) -> bytes:
    command = [daemon_command(), *arguments, "--config", str(arena.config_path)]
    environment = os.environ | {"HEALTH_PORT": "0"}
    return subprocess.run(command, env=environment, capture_output=True, timeout=PATIENCE_SECONDS, check=True).stdout


def dead_letters(arena: Arena, exporter: str) -> Counter[int]:
    """Return the ids of the items in the dead letters of an exporter, and how often each is there."""
    exported = _run(arena, "dlq", "export", "--format", "proto", "--destination", exporter)
    return Counter(item for item, _, _ in find_items(exported))


def replay(arena: Arena) -> None:
    """Send all dead letters again. Raises ``CalledProcessError`` unless all were taken."""
    _run(arena, "replay")
