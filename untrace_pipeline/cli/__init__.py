"""The command line: the only place that prints and that ends the process.

Exit codes: 0 ok, 1 failure at run time, 2 bad usage or configuration. Commands are imported when they are used, so that
``--version`` and ``validate`` stay quick and need no optional library.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from untrace_pipeline.cli.arguments import INTERNAL, make_parser
from untrace_pipeline.config.diagnostics import Severity
from untrace_pipeline.errors import ConfigError, PluginError, UntraceError

__all__ = ["counted", "main"]

_INTERRUPTED = 130
"""What shells expect after Ctrl-C; only before the service handles signals itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, commands = make_parser()
    if not given or (given[0].startswith("-") and given[0] not in {"-h", "--help", "--version", "-v"}):
        given.insert(0, "run")
    if not given[0].startswith("-") and given[0] not in commands:
        known = [name for name in commands if name not in INTERNAL]
        close = get_close_matches(given[0], known, n=1)
        hint = f"\ndid you mean: {close[0]}?" if close else ""
        print(f"untrace-pipeline: unknown command {given[0]!r}\nexpected: {', '.join(known)}{hint}", file=sys.stderr)
        return 2
    try:
        parsed, unknown = parser.parse_known_args(given)
        if unknown:
            parsed.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as stop:  # argparse ends the process; we only want its code
        return int(stop.code or 0)
    return _execute(parsed)


def _execute(parsed: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be text
    try:
        code: int = import_module(f"untrace_pipeline.cli.{parsed.module}").execute(parsed)
        sys.stdout.flush()
    except ConfigError as error:
        print(error, file=sys.stderr)
        errors = sum(problem.severity is Severity.ERROR for problem in error.problems)
        print(f"\n{counted(errors, 'problem')}; nothing was started", file=sys.stderr)
        return 2
    except PluginError as error:
        print(f"untrace-pipeline: {error}", file=sys.stderr)
        return 2
    except UntraceError as error:
        print(f"untrace-pipeline: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has gone: `untrace-pipeline components | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that ending does not fail again
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def counted(number: int, noun: str) -> str:
    """Return ``1 problem``, ``2 problems``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
