"""``worker``: a process of ``service.workers``, started by the supervisor only."""

from __future__ import annotations

import argparse
import asyncio

from untrace_pipeline.cli.run import loop_factory
from untrace_pipeline.supervisor.worker import run_worker

__all__ = ["execute"]


def execute(arguments: argparse.Namespace) -> int:
    """Run on the orders that come through inherited sockets. Returns the exit code."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(run_worker(arguments.control, arguments.introductions))
