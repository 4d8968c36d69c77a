"""The daemon between senders and sinks: configured, started where it was before, killed, and asked for its ledger."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from benchmarks.procfs import process_tree
from tests.support.peers import Daemon

T = TypeVar("T")
Victim = Literal["all", "supervisor", "worker"]
QUEUE_REQUESTS = 20_000
CONSUMERS = 10
_BELOW_EPHEMERAL = range(20_000, 32_000)


def steady_port() -> int:
    """Return a free port that no outgoing connection gets while nobody listens, so that it can be taken again."""
    while True:
        port = random.SystemRandom().choice(_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextmanager
def working_directory(given: Path | None) -> Iterator[Path]:
    """Yield an empty directory: the given one, which stays, or a temporary one. Records of two runs must not mix."""
    if given is None:
        with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
            yield Path(temporary)
        return
    given.mkdir(parents=True, exist_ok=True)
    if any(given.iterdir()):
        sys.exit(f"{given} is not empty")
    yield given


@dataclass(frozen=True)
class Setup:
    """What the daemon is to be like."""

    queue: Literal["memory", "disk"] = "disk"
    workers: int = 1
    batch: bool = False
    dead_letters: bool = False
    exporter: Mapping[str, Any] = field(default_factory=dict)
    """More options of every exporter."""
    sending_queue: Mapping[str, Any] = field(default_factory=dict)
    """More options of every queue."""
    storage: Mapping[str, Any] = field(default_factory=dict)
    """More options of the storage."""
    processors: Mapping[str, Any] = field(default_factory=dict)
    """Processors of the pipeline, with their options."""
    timeout: float = 5.0
    """Seconds that an exporter waits for an answer: more than a sink needs on a machine that is busy."""
    shutdown_timeout: str = "30s"

    def exporter_config(self, endpoint: str) -> dict[str, Any]:
        """Return an exporter that never gives up, and never keeps a failed attempt waiting for long."""
        queue: dict[str, Any] = {"queue_size": QUEUE_REQUESTS, "num_consumers": CONSUMERS}
        if self.queue == "disk":
            queue["storage"] = "file_storage"
        if self.batch:
            queue["batch"] = {"flush_timeout": "50ms", "min_size": 500, "max_size": 2000, "sizer": "items"}
        config: dict[str, Any] = {
            "endpoint": endpoint,
            "compression": "none",
            "timeout": f"{self.timeout}s",
            "tls": {"insecure": True},
            "retry_on_failure": {"initial_interval": "50ms", "max_interval": "500ms", "max_elapsed_time": "0s"},
            "circuit_breaker": {"open_duration": "200ms"},
            "sending_queue": queue,
        }
        if self.dead_letters:
            config["dead_letter_queue"] = {"storage": "file_storage"}
        queue.update(self.sending_queue)
        return {**config, **self.exporter}


class Arena:
    """One daemon with an exporter per sink, in a directory that outlives it.

    ``exporters`` are their configurations by id. ``grpc`` and ``http`` are its receivers, the same after every start.
    """

    def __init__(self, directory: Path, setup: Setup, exporters: Mapping[str, Mapping[str, Any]]) -> None:
        self.directory = directory
        self.setup = setup
        self.queues = directory / "queues"
        self._ports = {name: steady_port() for name in ("grpc", "http", "metrics")}
        self.daemon = Daemon(self._config(exporters), directory=directory / "daemon", stop_timeout=60.0)
        self.runs = 0

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self._ports['grpc']}"

    @property
    def http(self) -> str:
        return f"127.0.0.1:{self._ports['http']}"

    @property
    def config_path(self) -> Path:
        return self.directory / "daemon" / "config.yaml"

    def launch(self) -> None:
        """Start, and do not wait; the log of the run before is kept beside the new one."""
        log = self.directory / "daemon" / "output.log"
        if log.exists():
            log.rename(log.with_name(f"output-{self.runs:03}.log"))
        self.runs += 1
        self.daemon.launch()

    def change_workers(self, number: int) -> None:
        """Let the next start have that many workers."""
        self.daemon.config["service"]["workers"] = number

    def start(self) -> None:
        """Start, and wait until ready."""
        self.launch()
        self.daemon.wait_ready()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run it while a block runs, without keeping the event loop from running."""
        try:
            await asyncio.to_thread(self.start)
            yield
        finally:
            await asyncio.to_thread(self.stop)

    def kill(self, victim: Victim = "all") -> None:
        """Kill -9 the daemon: all of its processes, or one whose fellows are left to find out.

        After ``worker`` the supervisor lives on, and so does this daemon.
        """
        workers = process_tree(self.daemon.pid)[1:]
        match victim:
            case "all":
                self.daemon.kill(workers)
            case "supervisor":
                self.daemon.kill()
                wait_for(lambda: not any(map(_lives, workers)), "the workers end with their supervisor", 10)
            case "worker" if workers:
                os.kill(random.choice(workers), signal.SIGKILL)

    def reload(self) -> None:
        """Change an option of every exporter in the file, and send SIGHUP."""
        text = self.config_path.read_text()
        self.config_path.write_text(text.replace(f"num_consumers: {CONSUMERS}", f"num_consumers: {CONSUMERS - 1}"))
        os.kill(self.daemon.pid, signal.SIGHUP)

    def ledger(self) -> Ledger:
        """Ask for the ledger."""
        return Ledger(self._get("/ledger"))

    def drain(self, seconds: float = 60.0) -> Ledger:
        """Wait until nothing is queued any more."""

        def empty() -> Ledger | None:
            ledger = self.ledger()
            return ledger if not ledger.total("queued") + ledger.total("in_flight") else None

        return wait_for(empty, "the queues are empty", seconds)

    def stop(self) -> int | None:
        """Stop with SIGTERM; return the exit code."""
        self.daemon.stop()
        return self.daemon.returncode

    def _get(self, path: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._ports['metrics']}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _config(self, exporters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        metrics = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": self._ports["metrics"]}}}}
        protocols = {"grpc": {"endpoint": self.grpc}, "http": {"endpoint": self.http}}
        needs_storage = self.setup.queue == "disk" or self.setup.dead_letters
        storage = {"directory": str(self.queues), "create_directory": True, **self.setup.storage}
        processors = dict(self.setup.processors)
        pipeline = {"receivers": ["otlp"], "processors": list(processors), "exporters": list(exporters)}
        return {
            "extensions": {"file_storage": storage} if needs_storage else {},
            "receivers": {"otlp": {"protocols": protocols}},
            "processors": processors,
            "exporters": dict(exporters),
            "service": {
                "extensions": ["file_storage"] if needs_storage else [],
                "pipelines": {"traces": pipeline},
                "telemetry": {"metrics": {"readers": [metrics]}},
                "shutdown_timeout": self.setup.shutdown_timeout,
                "workers": self.setup.workers,
            },
        }


def _lives(pid: int) -> bool:
    """Return whether a process runs; one that only waits to be noticed by its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Ledger:
    """What ``/ledger`` said."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.exporters: dict[str, dict[str, Any]] = {
            each["component"]: each for each in answer["ledger"] if each["kind"] == "exporter"
        }

    def total(self, state: str) -> int:
        """Return the items in a state, of all exporters."""
        return sum(int(self.of(exporter, state)) for exporter in self.exporters)

    def of(self, exporter: str, state: str) -> int:
        """Return the items of an exporter in a state, whatever the reason."""
        value = self.exporters[exporter].get(state, 0)
        return sum(value.values()) if isinstance(value, dict) else int(value)

    @property
    def balanced(self) -> bool:
        """Whether every item is in exactly one place."""
        return all(not one["balance"] for one in self.exporters.values())


def wait_for(condition: Callable[[], T | None], what: str, seconds: float) -> T:
    """Return the first true answer; a process that is away is asked again. Raises ``TimeoutError``."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := condition():
                return answer
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
