"""The OpenTelemetry SDK of Node, installed once from the committed lock file."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.support.peers import PeerUnavailable
from tests.support.peers.cache import cache_root

RECIPE = Path(__file__).resolve().parents[1] / "e2e" / "node"
FILES = ("package.json", "package-lock.json")


def install() -> Path:
    """Answer the directory with ``node_modules``. Raises ``PeerUnavailable`` where Node or a package is missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise PeerUnavailable("node SDK: no node and npm on PATH")
    digest = hashlib.sha256(b"".join((RECIPE / name).read_bytes() for name in FILES)).hexdigest()[:16]
    directory = cache_root() / f"node-sdk-{digest}"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "complete").exists():
            for name in FILES:
                shutil.copy(RECIPE / name, directory / name)
            command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                raise PeerUnavailable(f"node SDK: npm ci failed: {done.stderr.strip()[-1000:]}")
            (directory / "complete").touch()
    return directory
