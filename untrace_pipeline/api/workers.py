"""Which of the worker processes of one service this is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALONE", "WORKER_VARIABLE", "Workers"]

WORKER_VARIABLE = "UNTRACE_PIPELINE_WORKER"
"""Holds the number of the process: ``${env:UNTRACE_PIPELINE_WORKER}`` in the configuration."""


@dataclass(frozen=True, slots=True)
class Workers:
    """The place of this process among those that run the same graph (``service.workers``); never changes in a process.

    A component that keeps files asks it for a name of its own, and for those that nobody else looks after any more.
    """

    index: int = 0
    """Number of this process, 0 … ``count`` - 1; ``${env:UNTRACE_PIPELINE_WORKER}`` in the configuration."""
    count: int = 1
    """How many there are; 1 where the service is a single process."""
    successor: bool = False
    """Whether it goes on with what another process of the same running service had: that was counted there already."""

    @property
    def directory(self) -> str:
        """Name of the subdirectory for files of this process: ``worker-0`` …, empty if it is the only one."""
        return f"worker-{self.index}" if self.count > 1 else ""

    def adopts(self, directory: str) -> bool:
        """Return whether files in a directory of another run, empty or ``worker-<n>``, are this process's to finish.

        Each directory that no running process has as its own is adopted by exactly one: ``worker-<n>`` by n modulo
        ``count``, and what a single process left (the empty name) by worker 0. Other names are nobody's.
        """
        if not directory:
            return self.count > 1 and self.index == 0
        word, _, digits = directory.partition("-")
        if word != "worker" or not digits.isascii() or not digits.isdigit():
            return False
        orphaned = self.count == 1 or int(digits) >= self.count
        return orphaned and int(digits) % self.count == self.index


ALONE = Workers()
"""A service of one process."""
