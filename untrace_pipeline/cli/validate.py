"""``validate``: everything that is wrong with a configuration, and with the machine it is meant for."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from untrace_pipeline.cli import counted
from untrace_pipeline.config.diagnostics import Problem, Severity
from untrace_pipeline.config.loader import Loaded, load
from untrace_pipeline.config.model import ServiceSpec
from untrace_pipeline.errors import ConfigError

__all__ = ["execute"]


def execute(arguments: argparse.Namespace) -> int:
    """Print problems; 2 for a wrong configuration, 1 where only the environment does not fit."""
    loaded: Loaded | None = None
    try:
        loaded = load(arguments.config, arguments.set)
        problems: Sequence[Problem] = loaded.warnings
    except ConfigError as error:
        problems = error.problems
    trouble: list[str] = []
    if loaded is not None and arguments.environment:
        from untrace_pipeline.cli.environment import check_environment  # noqa: PLC0415  opens sockets

        trouble = check_environment(loaded.spec)
    if arguments.json:
        print(json.dumps(_report(problems, trouble, valid=loaded is not None), indent=2, ensure_ascii=False))
    else:
        _print(problems, trouble, loaded)
    return 2 if loaded is None else 1 if trouble else 0


def _print(problems: Sequence[Problem], trouble: Sequence[str], loaded: Loaded | None) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)
    for text in trouble:
        print(text, file=sys.stderr)
    errors = sum(problem.severity is Severity.ERROR for problem in problems) + len(trouble)
    if errors or loaded is None:
        print(f"\n{counted(errors, 'problem')}", file=sys.stderr)
    else:
        spec = loaded.spec
        print(f"ok: {counted(len(spec.pipelines), 'pipeline')}, {counted(len(spec.components), 'component')}")
        for line in _about_workers(spec) if spec.workers != 1 else ():
            print(line)


def _about_workers(spec: ServiceSpec) -> Iterator[str]:
    """Yield what differs from a single process."""
    from untrace_pipeline.engine.hops import first_places, meeting_places  # noqa: PLC0415  seldom several workers
    from untrace_pipeline.engine.parts import only_in_first, worker_count  # noqa: PLC0415

    yield f"{counted(worker_count(spec), 'worker')} on this machine"
    for receiver in sorted(only_in_first(spec)):
        yield f"receiver {receiver} runs in worker 0 only"
    for exporter in sorted(first_places(spec)):
        yield f"exporter {exporter} runs in worker 0 only, which gets what the others have for it"
    for pipeline, processor in meeting_places(spec).items():
        yield f"pipeline {pipeline}: spans of a trace meet in one worker before {processor}"


def _report(problems: Sequence[Problem], trouble: Sequence[str], *, valid: bool) -> dict[str, Any]:
    shown = ("file", "line", "column", "path", "code", "message", "expected", "suggestion", "severity")
    listed = [{key: value for key, value in asdict(problem).items() if key in shown} for problem in problems]
    return {"valid": valid, "problems": listed, "environment": list(trouble)}
