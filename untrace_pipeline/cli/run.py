"""``run``: the daemon itself."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from untrace_pipeline.config.loader import Loaded, load
from untrace_pipeline.registry import Registry

__all__ = ["execute", "loop_factory"]


def execute(arguments: argparse.Namespace) -> int:
    """Load, start, and run until a signal. Returns the service's exit code."""
    registry = Registry()

    def reload() -> Loaded:
        return load(arguments.config, arguments.set, registry)

    loaded = reload()
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    if arguments.feature_gates:
        print("warning: --feature-gates is accepted for the Collector's sake and changes nothing", file=sys.stderr)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_life(loaded, reload, arguments))


def _life(loaded: Loaded, reload: Callable[[], Loaded], arguments: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """Return what runs: the pipelines in this process, or workers that do. Imported when the configuration is right."""
    from untrace_pipeline.engine.parts import worker_count  # noqa: PLC0415

    if worker_count(loaded.spec) == 1:
        from untrace_pipeline.engine.service import run_service  # noqa: PLC0415

        return run_service(loaded, reload, watch=arguments.watch)
    from untrace_pipeline.supervisor.supervisor import run_supervisor  # noqa: PLC0415

    return run_supervisor(loaded, reload, arguments.config, arguments.set, watch=arguments.watch)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes event loops: uvloop where there is one."""
    try:
        import uvloop  # noqa: PLC0415  not there on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop
