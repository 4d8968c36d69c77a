"""Caps on the CPU time of processes, by the kernel's CFS bandwidth control: one worker on a core of known size."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.peers import PeerUnavailable

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
"""The kernel hands out quotas in slices of 5 ms per CPU: shorter periods would leave much of a small quota unused."""


class CpuCaps:
    """Control groups of one process each; they vanish at the end, when the processes have ended."""

    def __init__(self, share: float) -> None:
        """``share`` is the part of one core that each process gets, threads included."""
        self._quota_us = int(share * PERIOD_US)
        self._made: list[Path] = []

    def cap(self, pid: int) -> None:
        """Cap one process. Raises `PeerUnavailable` where groups cannot be made."""
        version_2 = (ROOT / "cgroup.controllers").exists()
        group = (ROOT if version_2 else ROOT / "cpu") / f"untrace-bench-{pid}"
        try:
            group.mkdir()
            self._made.append(group)
            if version_2:
                (group / "cpu.max").write_text(f"{self._quota_us} {PERIOD_US}")
                (group / "cpu.weight").write_text("10000")  # the most: the quota is the limit, not the neighbours
            else:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(self._quota_us))
                (group / "cpu.shares").write_text("262144")  # the most, likewise
            (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise PeerUnavailable(f"CPU time cannot be capped here: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for group in self._made:
            group.rmdir()
