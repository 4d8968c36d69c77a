"""The Go load generator and sink, as Python objects."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tests.support.peers import build_go_program

RECIPE = Path(__file__).parent / "loadgen"
OVERRIDE = "UNTRACE_LOADGEN"
POLL_SECONDS = 0.05

Protocol = Literal["grpc", "http"]


def loadgen_binary() -> Path:
    """Answer the load generator's binary, built if need be. Raises `PeerUnavailable`."""
    return build_go_program("loadgen", RECIPE, OVERRIDE)


@dataclass(frozen=True)
class Load:
    """One run of the load generator. `rate` is in requests per second, 0 as fast as answers come."""

    payload: Path
    protocol: Protocol
    duration: float = 0.0
    requests: int = 0
    rate: float = 0.0
    concurrency: int = 64
    connections: int = 4
    timeout: float = 30.0
    stamp: bool = True
    compression: str = "none"
    unique: bool = False
    """Whether each request has new trace ids."""


def run_load(load: Load, target: str) -> dict[str, Any]:
    """Send and answer the generator's report."""
    command = [str(loadgen_binary()), "load", "-target", target, "-payload", str(load.payload)]
    command += ["-protocol", load.protocol, "-rate", str(load.rate), "-requests", str(load.requests)]
    command += ["-duration", f"{load.duration}s", "-timeout", f"{load.timeout}s"]
    command += ["-concurrency", str(load.concurrency), "-connections", str(load.connections)]
    command += [f"-stamp={str(load.stamp).lower()}", f"-unique={str(load.unique).lower()}"]
    command += ["-compression", load.compression] if load.compression != "none" else []
    limit = load.duration + load.timeout + 120
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


class Sink:
    """A counting OTLP backend; `capture` is a directory that gets all received bodies."""

    def __init__(self, capture: Path | None = None) -> None:
        self._capture = capture
        self._process: subprocess.Popen[str] | None = None
        self.addresses: dict[str, str] = {}

    def __enter__(self) -> Sink:
        command = [str(loadgen_binary()), "sink"]
        if self._capture:
            command += ["-capture", str(self._capture)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.addresses = json.loads(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()

    def _control(self, path: str, *, post: bool = False) -> bytes:
        request = urllib.request.Request(f"http://{self.addresses['control']}{path}", method="POST" if post else "GET")
        with urllib.request.urlopen(request, timeout=10) as answer:
            body: bytes = answer.read()
        return body

    def stats(self) -> dict[str, Any]:
        """Answer the counts since the last reset."""
        stats: dict[str, Any] = json.loads(self._control("/stats"))
        return stats

    def reset(self) -> None:
        """Set all counts to 0."""
        self._control("/reset", post=True)

    def limit(self, items_per_second: float) -> None:
        """Let items through at a rate, as a slow backend does; 0 lifts the limit."""
        self._control(f"/limit?items_per_second={items_per_second}", post=True)

    def settled(self, expected: int, quiet_seconds: float = 1.0, timeout: float = 60.0) -> dict[str, Any]:
        """Wait until so many items have come, or until nothing came for a while; answer the counts."""
        deadline = time.monotonic() + timeout
        last, since = -1, time.monotonic()
        while True:
            stats, now = self.stats(), time.monotonic()
            if stats["items"] != last:
                last, since = stats["items"], now
            if last >= expected or now - since > quiet_seconds or now > deadline:
                return stats
            time.sleep(POLL_SECONDS)


class Sinks:
    """Some sinks, in which everything is to arrive in each; `captures` are their directories, if they keep bodies."""

    def __init__(self, count: int = 1, captures: Sequence[Path] = ()) -> None:
        self._sinks = [Sink(captures[number] if captures else None) for number in range(count)]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for sink in self._sinks:
            self._stack.enter_context(sink)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def env(self) -> dict[str, str]:
        """What a config needs to find them: `SINK_GRPC`, `SINK_HTTP`, `SINK_2_GRPC`, …: host:port."""
        found: dict[str, str] = {}
        for number, sink in enumerate(self._sinks, 1):
            prefix = "SINK" if number == 1 else f"SINK_{number}"
            found |= {f"{prefix}_{name.upper()}": sink.addresses[name] for name in ("grpc", "http")}
        return found

    def reset(self) -> None:
        """Set all counts to 0."""
        for sink in self._sinks:
            sink.reset()

    def limit(self, items_per_second: float) -> None:
        """Let items through at a rate; see :meth:`Sink.limit`."""
        for sink in self._sinks:
            sink.limit(items_per_second)

    def stats(self) -> dict[str, Any]:
        """Answer the counts of the one that has received least."""
        return _least(sink.stats() for sink in self._sinks)

    def settled(self, expected: int, quiet_seconds: float = 1.0, timeout: float = 60.0) -> dict[str, Any]:
        """Wait for each; answer the counts of the one that has received least. See :meth:`Sink.settled`."""
        return _least(sink.settled(expected, quiet_seconds, timeout) for sink in self._sinks)


def _least(stats: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return min(stats, key=lambda each: int(each["items"]))
