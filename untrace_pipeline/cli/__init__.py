"""The command line: the only place that prints and that ends the process.

Exit codes: 0 ok, 1 failure at run time, 2 bad usage or configuration. Commands are imported when they are used, so that
``--version`` and ``validate`` stay quick and need no optional library.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

from untrace_pipeline.errors import ConfigError, PluginError, UntraceError

__all__ = ["main"]

_DESCRIPTION = "One daemon and one YAML file between LLM applications and every observability destination."
_EXAMPLES = """\
examples:
  untrace-pipeline --config my.yaml                      run (the default command)
  untrace-pipeline run --config base.yaml --config prod.yaml --set processors.batch.timeout=2s
  untrace-pipeline validate --config my.yaml             every mistake at once, with its place
  untrace-pipeline test --config my.yaml                 run the tests: blocks of the file
  untrace-pipeline components                            what is installed

exit codes: 0 ok, 1 failure at run time, 2 bad usage or configuration
"""
_SOURCES = """\
--config takes a path, file:path, env:NAME (a variable that holds YAML) or yaml:text, and may be repeated:
mappings merge, lists and single values of later ones win. --set wins over all of them.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, commands = _parser()
    if not given or (given[0].startswith("-") and given[0] not in {"-h", "--help", "--version", "-v"}):
        given.insert(0, "run")
    if not given[0].startswith("-") and given[0] not in commands:
        close = get_close_matches(given[0], commands, n=1)
        hint = f"\ndid you mean: {close[0]}?" if close else ""
        print(f"untrace-pipeline: unknown command {given[0]!r}\nexpected: {', '.join(commands)}{hint}", file=sys.stderr)
        return 2
    try:
        parsed = parser.parse_args(given)
    except SystemExit as stop:  # argparse ends the process; we only want its code
        return int(stop.code or 0)
    return _execute(parsed)


def _execute(parsed: argparse.Namespace) -> int:
    try:
        code: int = import_module(f"untrace_pipeline.cli.{parsed.module}").execute(parsed)
    except ConfigError as error:
        print(error, file=sys.stderr)
        print(f"\n{counted(len(error.problems), 'problem')}; nothing was started", file=sys.stderr)
        return 2
    except PluginError as error:
        print(f"untrace-pipeline: {error}", file=sys.stderr)
        return 2
    except UntraceError as error:
        print(f"untrace-pipeline: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has gone: `untrace-pipeline components | head`
        sys.stderr.close()
        return 0
    return code


def counted(number: int, noun: str) -> str:
    """Return ``1 problem``, ``2 problems``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    parser = _Parser(prog="untrace-pipeline", description=_DESCRIPTION, epilog=_EXAMPLES)
    parser.add_argument("-v", "--version", action=_Version, help="show the version and end")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)

    def add(name: str, module: str, help: str, *, config: bool = True, example: str = "") -> argparse.ArgumentParser:
        description = f"{help[0].upper()}{help[1:]}."
        command = commands.add_parser(name, help=help, description=description, epilog=example or None)
        command.set_defaults(module=module)
        if config:
            _add_sources(command)
        return command

    run = add("run", "run", "run the daemon until SIGTERM or SIGINT; SIGHUP reloads", example=_SOURCES)
    run.add_argument("--watch", action="store_true", help="reload when a configuration file changes")
    run.add_argument("--feature-gates", action="append", metavar="GATES", help=argparse.SUPPRESS)
    validate = add("validate", "validate", "check a configuration; needs no network", example=_SOURCES)
    validate.add_argument("--environment", action="store_true", help="also check directories, ports and destinations")
    validate.add_argument("--json", action="store_true", help="problems as JSON on stdout")
    validate.add_argument("--feature-gates", action="append", metavar="GATES", help=argparse.SUPPRESS)
    add("print-config", "print_config", "show the merged and expanded configuration, secrets masked", example=_SOURCES)
    components = add("components", "components", "list what is installed, and which package brought it", config=False)
    components.add_argument("--json", action="store_true", help="as JSON")
    add("schema", "schema", "print one JSON Schema of everything that is installed, for editors", config=False)
    test = add("test", "test", "run the tests: blocks of a configuration, without network", example=_SOURCES)
    test.add_argument("--json", action="store_true", help="results as JSON on stdout")
    test.add_argument("--filter", metavar="TEXT", default="", help="only tests whose name contains this")
    return parser, list(commands.choices)


def _add_sources(parser: argparse.ArgumentParser) -> None:
    what = "what to load; may be repeated"
    parser.add_argument("-c", "--config", action="append", required=True, metavar="SOURCE", help=what)
    what = "override one option: service.telemetry.logs.level=debug"
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help=what)


class _Parser(argparse.ArgumentParser):
    """Keeps the lines of epilogs, takes no abbreviations, and says what was meant by a mistyped option."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Print the problem with a suggestion and end with code 2."""
        words = message.removeprefix("unrecognized arguments: ").split()
        known = [option for action in self._actions for option in action.option_strings]
        close = get_close_matches(words[0].partition("=")[0], known, n=1) if message.startswith("unrec") else []
        print(f"{self.prog}: {message}", file=sys.stderr)
        print(f"did you mean: {close[0]}?" if close else f"see: {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


class _Version(argparse.Action):
    """Reads the version only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from untrace_pipeline import __version__  # noqa: PLC0415

        print(f"untrace-pipeline {__version__}")
        parser.exit()
