"""A real peer that is one process and one port: started on a free port, ready when it answers, ended with SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.support.peers.process import PeerProcessError, free_port

__all__ = ["PeerServer"]

STOP_SECONDS = 20.0
START_ATTEMPTS = 5
POLL_SECONDS = 0.02


class PeerServer:
    """Base of such peers, as a context manager; its directory lives as long. Use one from a thread of its own."""

    name: ClassVar[str]
    ready_path: ClassVar[str] = "/"
    start_seconds: ClassVar[float] = 60.0

    def __init__(self) -> None:
        self.port = 0
        self._temporary = tempfile.TemporaryDirectory(prefix=f"{self.name}-")
        self.directory = Path(self._temporary.name)
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """Answer the command line that serves on `self.port`."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Answer variables that the process gets besides ours."""
        return {}

    @property
    def url(self) -> str:
        """Where it serves, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the running process."""
        if self._process is None:
            raise PeerProcessError(f"{self.name} is not running")
        return self._process.pid

    @property
    def log(self) -> str:
        """All that it has written since its last start."""
        path = self.directory / "output.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start on a free port, or on the one from before, and wait until ready."""
        fresh = not self.port
        for attempt in range(START_ATTEMPTS):
            if fresh:
                self.port = free_port()
            self._spawn()
            try:
                self._wait_ready()
            except PeerProcessError:
                self.stop()
                if attempt + 1 == START_ATTEMPTS or "in use" not in self.log.lower():
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def stop(self) -> None:
        """Send SIGTERM to its process group and wait; kill it when it does not end in time. Safe twice."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _spawn(self) -> None:
        with (self.directory / "output.log").open("wb") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait_ready(self) -> None:
        begin = time.monotonic()
        while not self._answers():
            if self._process is None or self._process.poll() is not None:
                raise PeerProcessError(f"{self.name} ended before it was ready:\n{self.log[-3000:]}")
            if time.monotonic() - begin > self.start_seconds:
                raise PeerProcessError(f"{self.name} was not ready within {self.start_seconds} s:\n{self.log[-3000:]}")
            time.sleep(POLL_SECONDS)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{self.ready_path}", timeout=5):
                return True
        except urllib.error.HTTPError:
            return True  # it speaks HTTP, whatever it thinks of an anonymous question
        except OSError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._temporary.cleanup()
