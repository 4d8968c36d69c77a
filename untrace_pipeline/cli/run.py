"""``run``: the daemon itself."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable

from untrace_pipeline.config.loader import Loaded, load
from untrace_pipeline.registry import Registry

__all__ = ["execute"]


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
    from untrace_pipeline.engine.service import run_service  # noqa: PLC0415  not before the configuration is right

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(run_service(loaded, reload, watch=arguments.watch))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  not there on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop
