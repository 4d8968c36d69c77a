"""Commands, options and help texts."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, NoReturn

from untrace_pipeline.cli.destination_arguments import add_destinations
from untrace_pipeline.cli.letter_arguments import add_dlq, add_replay

__all__ = ["INTERNAL", "make_parser"]

INTERNAL = frozenset({"worker"})
"""Commands that the daemon starts itself; no help shows them."""

_DESCRIPTION = "One daemon and one YAML file between LLM applications and every observability destination."
_EXAMPLES = """\
examples:
  untrace-pipeline --config my.yaml                      run (the default command)
  untrace-pipeline run --config base.yaml --config prod.yaml --set processors.batch.timeout=2s
  untrace-pipeline validate --config my.yaml             every mistake at once, with its place
  untrace-pipeline test --config my.yaml                 run the tests: blocks of the file
  untrace-pipeline components                            what is installed
  untrace-pipeline destinations list                     where data can go to
  untrace-pipeline destinations check --config my.yaml   whether it would be taken there
  untrace-pipeline dlq list --config my.yaml             what destinations did not take
  untrace-pipeline replay --config my.yaml               send it again
  untrace-pipeline decrypt --config my.yaml out.jsonl    read what encrypt and redaction have sealed

exit codes: 0 ok, 1 failure at run time, 2 bad usage or configuration
"""
_SOURCES = """\
--config takes a path, file:path, env:NAME (a variable that holds YAML) or yaml:text, and may be repeated:
mappings merge, lists and single values of later ones win. --set wins over all of them.
"""
_VALIDATE = """
examples:
  untrace-pipeline validate --config my.yaml
  untrace-pipeline validate --config my.yaml --environment     also directories, ports, destinations: code 1
"""
_COMPONENTS = """\
examples:
  untrace-pipeline components
  untrace-pipeline components --json | jq -r '.[] | select(.error) | .error'
"""
_SCHEMA = """\
examples:
  untrace-pipeline schema > untrace.schema.json
  and as the first line of a configuration:  # yaml-language-server: $schema=untrace.schema.json
"""
_ROUTE = """
FILE holds OTLP JSON (a request, or one per line), or a trace in Untrace's form, or a list of those; - means standard
input. It takes its way through the processors of the configuration; nothing is sent.

examples:
  untrace-pipeline route --config my.yaml --explain trace.json
  untrace-pipeline route --config my.yaml --explain - --header 'X-Tenant: acme' --json < trace.json
"""
_TEST = """\
examples:
  untrace-pipeline test --config my.yaml
  untrace-pipeline test --config my.yaml --config my-tests.yaml --filter masked --json
"""
_DECRYPT = """\
Reads files, or standard input, and writes them with every value readable that a processor of the configuration has
encrypted, or given a token, with a key that it names: the one in force, or a previous one.

examples:
  untrace-pipeline decrypt --config my.yaml traces.jsonl > readable.jsonl
  pbpaste | untrace-pipeline decrypt --config my.yaml
"""


def make_parser() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Return the parser, and those of the commands by name."""
    parser = _Parser(prog="untrace-pipeline", description=_DESCRIPTION, epilog=_EXAMPLES)
    parser.add_argument("-v", "--version", action=_Version, help="show the version and end")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    add = partial(_add_command, commands)
    run = add("run", "run the daemon until SIGTERM or SIGINT; SIGHUP reloads", _SOURCES)
    run.add_argument("--watch", action="store_true", help="reload when a configuration file changes")
    run.add_argument("--feature-gates", action="append", metavar="GATES", help=argparse.SUPPRESS)
    validate = add("validate", "check a configuration; needs no network", _SOURCES + _VALIDATE)
    validate.add_argument("--environment", action="store_true", help="also check directories, ports and destinations")
    validate.add_argument("--json", action="store_true", help="problems as JSON on stdout")
    validate.add_argument("--feature-gates", action="append", metavar="GATES", help=argparse.SUPPRESS)
    add("print-config", "show the merged and expanded configuration, secrets masked", _SOURCES)
    components = add("components", "list what is installed, and which package brought it", _COMPONENTS, config=False)
    components.add_argument("--json", action="store_true", help="as JSON")
    add("schema", "print one JSON Schema of everything that is installed, for editors", _SCHEMA, config=False)
    test = add("test", "run the tests: blocks of a configuration, without network", _TEST)
    test.add_argument("--json", action="store_true", help="results as JSON on stdout")
    test.add_argument("--filter", metavar="TEXT", default="", help="only tests whose name contains this")
    route = add("route", "say where traces would go, by which rule, and why", _ROUTE)
    route.add_argument("--explain", metavar="FILE", required=True, help="what to ask for")
    route.add_argument("--pipeline", metavar="ID", help="let it in here, instead of wherever receivers would")
    route.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'", help="a header of the request")
    route.add_argument("--json", action="store_true", help="as JSON on stdout")
    decrypt = add("decrypt", "make readable what processors have encrypted", _DECRYPT)
    decrypt.add_argument("files", nargs="*", metavar="FILE", help="text, JSON or JSON lines; standard input if none")
    add_destinations(_add_command, commands)
    add_dlq(_add_command, commands)
    add_replay(_add_command, commands)
    worker = commands.add_parser("worker")  # without help, it is not listed
    worker.set_defaults(module="worker", parser=worker)
    worker.add_argument("--control", type=int, required=True)
    worker.add_argument("--introductions", type=int, required=True)
    return parser, commands.choices


def _add_command(commands: Any, name: str, help: str, example: str, *, config: bool = True) -> argparse.ArgumentParser:
    description = f"{help[0].upper()}{help[1:]}."
    command: argparse.ArgumentParser = commands.add_parser(name, help=help, description=description, epilog=example)
    command.set_defaults(module=name.replace("-", "_"), parser=command)
    if config:
        _add_sources(command)
    return command


def _add_sources(parser: argparse.ArgumentParser) -> None:
    what = "what to load; may be repeated"
    parser.add_argument("-c", "--config", action="append", required=True, metavar="SOURCE", help=what)
    what = "override one option: service.telemetry.logs.level=debug"
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help=what)


_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")


class _Parser(argparse.ArgumentParser):
    """Keeps the lines of epilogs, takes no abbreviations, and says what was meant by a mistyped option."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)
        self._given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Remember what was given, for ``error``."""
        self._given = args or ()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the problem with a suggestion and end with code 2."""
        known = [option for action in self._actions for option in action.option_strings]
        if "are required" in message:  # because it was mistyped, perhaps
            unknown = [word for word in self._given if word.startswith("--") and word.partition("=")[0] not in known]
            message = f"unrecognized arguments: {' '.join(unknown)}" if unknown else message
        if wrong := _CHOICE.search(message):
            close = get_close_matches(wrong[1], re.findall(r"[\w-]+", wrong[2]), n=1)
            message += f"\ndid you mean: {close[0]}?" if close else ""
        words = message.removeprefix("unrecognized arguments: ").split()
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
