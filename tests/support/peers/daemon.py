"""Our own daemon as a process, run the way the Collector is."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.peers.cache import PeerUnavailable
from tests.support.peers.process import ConfiguredProcess


def daemon_command() -> str:
    """Answer the path of `untrace-pipeline`: beside the running Python, or on PATH; `UNTRACE_DAEMON` overrides it."""
    beside = Path(sys.executable).parent / "untrace-pipeline"
    found = os.environ.get("UNTRACE_DAEMON") or (str(beside) if beside.is_file() else shutil.which("untrace-pipeline"))
    if found is None:
        raise PeerUnavailable("untrace-pipeline is not installed beside this Python: pip install -e .")
    return found


class Daemon(ConfiguredProcess):
    """A running `untrace-pipeline`: `with Daemon(config) as daemon: daemon.endpoint("GRPC_PORT")`."""

    name = "untrace-pipeline"
    ready_path = "/ready"

    def command(self, config: Path) -> Sequence[str]:
        """Run the installed command."""
        return [daemon_command(), "run", "--config", str(config)]
