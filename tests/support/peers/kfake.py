"""kfake, a Kafka cluster in memory that answers with errors on demand, built from the Go module in `kfake/`."""

from __future__ import annotations

import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.peers.cache import build_go_program
from tests.support.peers.process import PeerProcessError, free_port

__all__ = ["KFAKE_RECIPE", "Kfake", "kfake_binary"]

KFAKE_RECIPE = Path(__file__).parent / "kfake"
KFAKE_OVERRIDE = "UNTRACE_PEER_KFAKE"
START_SECONDS = 20.0
PRODUCE = 0
"""API key of Produce requests."""


def kfake_binary(*, build: bool = True) -> Path:
    """Answer the binary of `kfake/main.go`, built if need be; `UNTRACE_PEER_KFAKE` names another one.

    Raises `PeerUnavailable` with the reason; with `build=False` also when it is not built yet.
    """
    return build_go_program("kfake", KFAKE_RECIPE, KFAKE_OVERRIDE, build=build)


class Kfake:
    """A running kfake: `with Kfake(["spans"]) as broker: broker.fault(code=6, count=3)`."""

    def __init__(self, topics: Sequence[str] = (), *, partitions: int = 4) -> None:
        self._binary = kfake_binary(build=False)
        self._topics = topics
        self._partitions = partitions
        self._port = self._control = 0
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in __exit__
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Address of the broker."""
        return f"127.0.0.1:{self._port}"

    def fault(self, *, code: int, count: int, key: int = PRODUCE, partition: int | None = None) -> None:
        """Answer the next `count` requests of an API key (Produce unless told otherwise) with an error of Kafka."""
        where = "" if partition is None else f"&partition={partition}"
        url = f"http://127.0.0.1:{self._control}/fault?key={key}&code={code}&count={count}{where}"
        request = urllib.request.Request(url, method="POST")
        with urllib.request.urlopen(request, timeout=5):
            pass

    def __enter__(self) -> Self:
        self._port, self._control = free_port(), free_port()
        command = [str(self._binary), "-port", str(self._port), "-control", str(self._control)]
        command += ["-topics", ",".join(self._topics), "-partitions", str(self._partitions)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        begin = time.monotonic()
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - begin > START_SECONDS:
                self.__exit__(None, None, None)
                raise PeerProcessError("kfake did not start")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        self._log.close()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._control}/", timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            return False
