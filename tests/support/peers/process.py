"""Run a process that reads a Collector-compatible YAML file: free ports, readiness by polling, logs in a file."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import yaml

PORT_VARIABLE = re.compile(r"\$\{env:([A-Z0-9_]+_PORT)\}")
HEALTH_PORT = "HEALTH_PORT"
POLL_SECONDS = 0.01
START_ATTEMPTS = 5


class PeerProcessError(Exception):
    """A process did not become ready; the message has the end of its log."""


def free_port() -> int:
    """Answer a TCP port that was free a moment ago; who loses the race starts again with another one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prepare_config(config: str | Mapping[str, Any]) -> dict[str, Any]:
    """Add what a test needs to run any config: a health check on `HEALTH_PORT`, no metrics port unless asked for."""
    prepared: dict[str, Any] = yaml.safe_load(config) if isinstance(config, str) else copy.deepcopy(dict(config))
    service = prepared.setdefault("service", {})
    enabled = service.setdefault("extensions", [])
    if not any(str(name).partition("/")[0] == "health_check" for name in enabled):
        extensions = prepared.setdefault("extensions", {})
        extensions["health_check"] = {"endpoint": f"127.0.0.1:${{env:{HEALTH_PORT}}}"}
        enabled.append("health_check")
    service.setdefault("telemetry", {}).setdefault("metrics", {"level": "none"})
    return prepared


class ConfiguredProcess:
    """A daemon run with one config, as a sync or async context manager.

    Every `${env:<NAME>_PORT}` of the config gets a free port, found in `ports` by its name. `directory` receives
    `config.yaml` and `output.log`; without one, a temporary directory lives as long as the process.
    """

    name: ClassVar[str]
    ready_path: ClassVar[str] = "/"

    def __init__(
        self,
        config: str | Mapping[str, Any],
        *,
        directory: Path | None = None,
        env: Mapping[str, str] | None = None,
        ready_timeout: float = 30.0,
        stop_timeout: float = 20.0,
    ) -> None:
        self.config = prepare_config(config)
        self.ports: dict[str, int] = {}
        self.ready_seconds = 0.0
        self.returncode: int | None = None
        self._env = dict(env or {})
        self._ready_timeout = ready_timeout
        self._stop_timeout = stop_timeout
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix=f"{self.name}-")
        self.directory = directory or Path(self._temporary.name if self._temporary else "")
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, config: Path) -> Sequence[str]:
        """Answer the command line that runs the config file."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """Process id of the running process."""
        if self._process is None:
            raise PeerProcessError(f"{self.name} is not running")
        return self._process.pid

    @property
    def log(self) -> str:
        """All that the process has written so far."""
        path = self.directory / "output.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def endpoint(self, port: str) -> str:
        """Answer host:port for the `<NAME>_PORT` of the config."""
        return f"127.0.0.1:{self.ports[port]}"

    def start(self) -> None:
        """Start and wait until ready; again with other ports when somebody else took one of them first."""
        for attempt in range(START_ATTEMPTS):
            self.launch()
            try:
                self.wait_ready()
            except PeerProcessError:
                taken = "address already in use" in self.log.lower()
                self.stop()
                if taken and attempt + 1 < START_ATTEMPTS:
                    continue
                raise
            except BaseException:
                self.stop()
                raise
            return

    def kill(self, pids: Sequence[int] = ()) -> None:
        """Kill -9 our own process, after those of its children that are given; no return code stays."""
        if self._process is None:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process, self._process = self._process, None
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Send SIGTERM to our own process and wait; kill it when it does not end in time. Safe twice."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            self.returncode = process.wait(self._stop_timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            self.returncode = process.wait()

    def launch(self) -> None:
        """Start, and do not wait."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "config.yaml"
        text = yaml.safe_dump(self.config, sort_keys=False, width=1000)
        path.write_text(text)
        self.ports = {name: free_port() for name in sorted({*PORT_VARIABLE.findall(text), HEALTH_PORT})}
        environment = os.environ | self._env | {name: str(port) for name, port in self.ports.items()}
        with (self.directory / "output.log").open("wb") as log:
            self._process = subprocess.Popen(
                self.command(path),
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> None:
        """Wait for a process that was launched. Raises :class:`PeerProcessError` when it ends, or takes too long."""
        url = f"http://127.0.0.1:{self.ports[HEALTH_PORT]}{self.ready_path}"
        begin = time.monotonic()
        while not _answers_ok(url):
            if self._process is None or self._process.poll() is not None:
                raise PeerProcessError(f"{self.name} ended before it was ready:\n{self.log[-3000:]}")
            if time.monotonic() - begin > self._ready_timeout:
                raise PeerProcessError(f"{self.name} was not ready within {self._ready_timeout} s:\n{self.log[-3000:]}")
            time.sleep(POLL_SECONDS)
        self.ready_seconds = time.monotonic() - begin

    def _clean(self) -> None:
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._clean)


def _answers_ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
