"""CPU time and memory of a process tree, read from the kernel."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

CPUCLOCK_SCHED = 2  # clock of a whole process, exited threads included; see clock_getcpuclockid(3)


def process_tree(pid: int) -> list[int]:
    """Answer the process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """Answer user plus system time of the tree, in nanosecond steps (/proc/<pid>/stat has 10 ms steps)."""
    return sum(time.clock_gettime((~each << 3) | CPUCLOCK_SCHED) for each in process_tree(pid))


def rss_bytes(pid: int) -> int:
    """Answer the resident memory of the tree; shared pages count once per process."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) * page for each in process_tree(pid))


class RssSampler:
    """Samples the resident memory of a tree while a `with` block runs."""

    def __init__(self, pid: int, interval_seconds: float = 0.2) -> None:
        self.samples: list[tuple[float, int]] = []
        self._pid = pid
        self._interval = interval_seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        begin = time.monotonic()
        while True:
            try:
                self.samples.append((time.monotonic() - begin, rss_bytes(self._pid)))
            except OSError:
                return
            if self._done.wait(self._interval):
                return

    def __enter__(self) -> RssSampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def wait(self, seconds: float) -> None:
        """Let the process be watched for so long."""
        self._done.wait(seconds)

    def peak(self) -> int:
        """Answer the largest sample."""
        return max((size for _, size in self.samples), default=0)

    def spread_after(self, seconds: float) -> tuple[int, int]:
        """Answer the smallest and the largest sample taken later than so many seconds after the beginning."""
        late = [size for at, size in self.samples if at >= seconds] or [self.peak()]
        return min(late), max(late)
