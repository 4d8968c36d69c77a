"""The sink as a process of its own, so that it neither waits for the test nor makes it wait."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from tests.support.chaos.faults import Weights
from tests.support.chaos.record import Received

ROOT = Path(__file__).resolve().parents[3]


class SinkProcess:
    """``python -m tests.support.chaos sink``; it may be stopped and started again where it was."""

    def __init__(self, *, seed: int = 0, weights: Weights | None = None, record: Path | None = None) -> None:
        self.seed = seed
        self.weights = weights or Weights.calm()
        self._temporary = None if record else TemporaryDirectory(prefix="chaos-sink-")
        self.record = record or Path(self._temporary.name if self._temporary else "", "sink.jsonl")
        self.grpc = ""
        self.http = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start, on the same ports as before."""
        command = [sys.executable, "-m", "tests.support.chaos", "sink", "--record", str(self.record)]
        command += ["--seed", str(self.seed), "--weights", str(self.weights)]
        for option, address in (("--grpc-port", self.grpc), ("--http-port", self.http)):
            command += [option, address.rpartition(":")[2]] if address else []
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        addresses = self._answer()
        self.grpc, self.http = addresses["grpc"], addresses["http"]

    def stop(self) -> None:
        """Cut all connections and end. Safe twice."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        process.communicate()

    def set_weights(self, weights: Weights) -> None:
        """Change what goes wrong from now on."""
        self.weights = weights
        self._tell(f"weights {weights}")

    def stats(self) -> dict[str, Any]:
        """Return how often each step was done, and how many items were accepted."""
        return self._tell("stats")

    def received(self) -> Received:
        """Return what is in the record."""
        return Received.read(self.record)

    def _tell(self, command: str) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the sink has ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()
