"""Options of ``destinations``."""

from __future__ import annotations

import argparse

from untrace_pipeline.cli.letter_arguments import AddCommand

__all__ = ["add_destinations"]

_DESTINATIONS = """\
examples:
  untrace-pipeline destinations list
  untrace-pipeline destinations show langfuse
  untrace-pipeline destinations check --config my.yaml
  untrace-pipeline destinations send-test --config my.yaml langfuse
"""
_SHOW = """\
examples:
  untrace-pipeline destinations show langfuse
  untrace-pipeline destinations show posthog --json | jq .minimal
"""
_CHECK = """\
Asks each exporter's destination whether it is there and knows the credentials; nothing is sent that would be kept.

examples:
  untrace-pipeline destinations check --config my.yaml
  untrace-pipeline destinations check --config my.yaml --json | jq '.[] | select(.ok | not)'
"""
_SEND_TEST = """\
Sends one example through the exporter NAME of the configuration, as the daemon would, and waits for the answer.

examples:
  untrace-pipeline destinations send-test --config my.yaml langfuse
  untrace-pipeline destinations send-test --config my.yaml new_relic/eu --signal logs
"""


def add_destinations(add: AddCommand, commands: object) -> None:
    """Add ``destinations`` and its commands."""
    destinations = add(
        commands, "destinations", "what can be sent to, and whether it works", _DESTINATIONS, config=False
    )
    actions = destinations.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=type(destinations)
    )

    def action(name: str, help: str, example: str, *, config: bool) -> argparse.ArgumentParser:
        command = add(actions, name, help, example, config=config)
        command.set_defaults(module="destinations", action=name)
        command.add_argument("--json", action="store_true", help="as JSON on stdout")
        return command

    action("list", "list the destinations that have a type of their own", _DESTINATIONS, config=False)
    show = action("show", "show what a destination needs, and what is good to know", _SHOW, config=False)
    show.add_argument("name", metavar="NAME", help="type of an exporter")
    action("check", "ask each destination of a configuration whether it would take data", _CHECK, config=True)
    send = action("send-test", "send one example, and say what came of it and where to look", _SEND_TEST, config=True)
    send.add_argument("name", metavar="NAME", help="id of an exporter in the configuration")
    send.add_argument("--signal", choices=["traces", "metrics", "logs"], help="what to send; default: traces if it can")
