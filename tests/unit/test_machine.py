"""What a process may use, read from trees of files as Linux has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from untrace_pipeline.machine import available_cpus, total_memory

KIB, MIB = 1024, 1024 * 1024


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/self/cgroup": "0::/\n"}, 8000 * KIB),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1048576\n"}, MIB),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 8000 * KIB),
        (
            {
                "proc/self/cgroup": "0::/a.slice/b.service\n",
                "sys/fs/cgroup/a.slice/memory.max": "2097152\n",
                "sys/fs/cgroup/a.slice/b.service/memory.max": "max\n",
            },
            2 * MIB,
        ),
        (
            {
                "proc/self/cgroup": "8:pids:/x\n4:memory:/docker/abc\n0::/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "3145728\n",
            },
            3 * MIB,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            8000 * KIB,
        ),
        ({}, 8000 * KIB),
    ],
    ids=["machine", "v2", "v2-unlimited", "v2-parent", "v1-container", "v1-unlimited", "no-cgroup"],
)
def test_total_memory_respects_cgroups(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    """The smallest limit around the process counts, in either version of cgroups."""
    root = _tree(tmp_path, {"proc/meminfo": "MemFree: 1 kB\nMemTotal:    8000 kB\n"} | files)
    assert total_memory(root) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "20000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "3200000 100000\n"}, 8),
        (
            {
                "proc/self/cgroup": "0::/a.slice/b.service\n",
                "sys/fs/cgroup/a.slice/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/a.slice/b.service/cpu.max": "max 100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "4:cpuacct,cpu:/docker/abc\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            8,
        ),
    ],
    ids=["machine", "v2-unlimited", "v2", "v2-half", "v2-less", "v2-more", "v2-parent", "v1-container", "v1-unlimited"],
)
def test_cpus_respect_affinity_and_quotas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    """Not more than the CPUs that the process may run on, nor more than its quota pays for, and at least one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert available_cpus(_tree(tmp_path, files)) == expected


def test_cpus_of_this_process() -> None:
    """The real answer is a number of CPUs that there are."""
    assert 1 <= available_cpus() <= (os.cpu_count() or 1)
