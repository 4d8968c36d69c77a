"""What this process may use of the machine: memory and CPUs, as far as its cgroups (v1, v2) and its affinity let it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["available_cpus", "total_memory"]


def total_memory(root: Path = Path("/")) -> int:
    """Return the memory that this process may use, in bytes: the machine's, or less if a cgroup limits it.

    Raises ``OSError`` or ``ValueError`` where it is unknown.
    """
    limits = [_meminfo(root)]
    for group, version in _groups(root, "memory"):
        text = _read(group / ("memory.max" if version > 1 else "memory.limit_in_bytes"))
        limits.append(int(text) if text.isdigit() else 0)
    return min(limit for limit in limits if limit > 0)


def available_cpus(root: Path = Path("/")) -> int:
    """Return how many CPUs this process can keep busy, at least 1: those of its affinity, or less by a CFS quota.

    A quota of one and a half CPUs counts as one: a second process would only be throttled.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    counts = [len(affinity(0)) if affinity else os.cpu_count() or 1]
    for group, version in _groups(root, "cpu"):
        quota, period = _quota_v2(group) if version > 1 else _quota_v1(group)
        if quota > 0 and period > 0:
            counts.append(quota // period)
    return max(1, min(counts))


def _quota_v2(group: Path) -> tuple[int, int]:
    quota, _, period = _read(group / "cpu.max").partition(" ")
    return (int(quota), int(period)) if quota.isdigit() and period.isdigit() else (0, 0)


def _quota_v1(group: Path) -> tuple[int, int]:
    quota, period = (_read(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return (int(quota), int(period)) if quota.isdigit() and period.isdigit() else (0, 0)


def _meminfo(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """Yield the folder and the cgroup version of each group around this process.

    In a container the outer ones are not visible.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, version = root / "sys/fs/cgroup", 2
        elif controller in controllers.split(","):
            mount, version = root / "sys/fs/cgroup" / controller, 1
        else:
            continue
        inner = PurePosixPath(path.lstrip("/"))
        for group in (inner, *inner.parents):
            yield mount / group, version


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
