"""Options of ``dlq`` and ``replay``: which letters, and what to do with them."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches

__all__ = ["add_dlq", "add_replay"]

AddCommand = Callable[..., argparse.ArgumentParser]
"""``add(commands, name, help, epilog)`` of the parser of all commands."""

_DLQ = """\
examples:
  untrace-pipeline dlq list --config my.yaml --destination otlp_http/backend --since 2h
  untrace-pipeline dlq show --config my.yaml 17 --payload
  untrace-pipeline dlq export --config my.yaml --reason too_large --output large.jsonl --remove
  untrace-pipeline dlq purge --config my.yaml --until 7d --dry-run

All of them work whether the daemon runs or not. To send letters again: untrace-pipeline replay --help
"""
_TIMES = """\
TIME is RFC 3339 (2026-01-31T12:00:00Z, 2026-01-31) or how long ago (90s, 30m, 2h, 7d).
"""
_LIST = (
    _TIMES
    + """
examples:
  untrace-pipeline dlq list --config my.yaml
  untrace-pipeline dlq list --config my.yaml --code INVALID_ARGUMENT --json | jq -r .message | sort | uniq -c
"""
)
_SHOW = """\
examples:
  untrace-pipeline dlq show --config my.yaml 17
  untrace-pipeline dlq show --config my.yaml 17 --payload --json | jq .payload
"""
_EXPORT = (
    _TIMES
    + """
json: one OTLP JSON request per line, as the receiver otlp_json_file and the Collector's read it.
proto: each request preceded by its length (4 bytes, big-endian), as the exporter file writes it; one signal only.

examples:
  untrace-pipeline dlq export --config my.yaml > letters.jsonl
  untrace-pipeline dlq export --config my.yaml --until 7d --output old.jsonl --remove
"""
)
_PURGE = (
    _TIMES
    + """
examples:
  untrace-pipeline dlq purge --config my.yaml --destination otlp_http/old --dry-run
  untrace-pipeline dlq purge --config my.yaml --all --yes
"""
)
_REPLAY = (
    _TIMES
    + """
Letters are sent with the options of the exporter, without its queue, and removed when the destination has accepted
them. What fails again stays. It may be interrupted, or killed, and started again at any time, beside the running
daemon: nothing is sent twice but, after a kill, the few requests that were under way. What is given up meanwhile waits
for the next replay.

examples:
  untrace-pipeline replay --config my.yaml --dry-run
  untrace-pipeline replay --config my.yaml --destination otlp_http/backend --since 2h
  untrace-pipeline replay --config my.yaml --destination 'otlp_*' --to file/archive --rate 500/s
"""
)
_DAY = 86400.0
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": _DAY}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:/\s*(s|m|h))?")


def add_dlq(add: AddCommand, commands: object) -> None:
    """Add ``dlq`` and its commands."""
    dlq = add(commands, "dlq", "look into the dead-letter queue, and clear it", _DLQ, config=False)
    actions = dlq.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=type(dlq))

    def action(name: str, help: str, example: str) -> argparse.ArgumentParser:
        command = add(actions, name, help, example)
        command.set_defaults(module="dlq", action=name)
        return command

    listing = action("list", "list dead letters, oldest first, and how many there are", _LIST)
    _add_filters(listing, limit=100)
    listing.add_argument("--json", action="store_true", help="one JSON object per letter and line")
    show = action("show", "show all that is known about a letter", _SHOW)
    show.add_argument("ids", nargs="+", type=_number, metavar="ID", help="as dlq list shows it")
    show.add_argument("--payload", action="store_true", help="also the request itself, as OTLP JSON")
    show.add_argument("--json", action="store_true", help="as JSON, one object per letter")
    _add_storage(show)
    export = action("export", "write the requests of dead letters to a file", _EXPORT)
    _add_filters(export)
    export.add_argument("-o", "--output", metavar="FILE", help="where to write; must not exist (default: stdout)")
    export.add_argument("--format", choices=["json", "proto"], default="json", help="json (default) or proto")
    export.add_argument("--remove", action="store_true", help="remove letters once the file has them on the disk")
    purge = action("purge", "remove dead letters for good", _PURGE)
    _add_filters(purge)
    purge.add_argument("--all", action="store_true", help="all of them; needed where no filter is given")
    purge.add_argument("--dry-run", action="store_true", help="only say how many")
    purge.add_argument("--yes", action="store_true", help="do not ask")


def add_replay(add: AddCommand, commands: object) -> None:
    """Add ``replay``."""
    replay = add(commands, "replay", "send dead letters again", _REPLAY)
    _add_filters(replay)
    replay.add_argument("--to", metavar="EXPORTER", help="another exporter of the configuration than the letter's own")
    replay.add_argument("--dry-run", action="store_true", help="only say how many")
    replay.add_argument("--rate", type=_rate, default=0.0, metavar="N/s", help="most items per second: 100/s, 6000/m")
    what = "letters that may be under way at once (default: 4)"
    replay.add_argument("--concurrency", type=_positive, default=4, metavar="N", help=what)
    replay.add_argument("--json", action="store_true", help="the summary as JSON on stdout")


def _add_filters(parser: argparse.ArgumentParser, limit: int = 0) -> None:
    group = parser.add_argument_group("which letters", "those that fit all filters; each may be repeated")
    add = group.add_argument
    what = "exporter that gave them up, by its id or a pattern: otlp_http/backend, 'otlp_*'"
    add("--destination", action="append", default=[], metavar="EXPORTER", help=what)
    what = "why: permanent, too_large, expired, queue_full"
    add("--reason", action="append", default=[], type=_reason, metavar="REASON", help=what)
    what = "error class: INVALID_ARGUMENT, UNAVAILABLE …"
    add("--code", action="append", default=[], type=_code, metavar="CODE", help=what)
    add("--signal", action="append", default=[], choices=["traces", "metrics", "logs"], help="traces, metrics or logs")
    add("--tenant", action="append", default=[], metavar="NAME", help="whose they are")
    add("--since", type=_time, metavar="TIME", help="given up then or later")
    add("--until", type=_time, metavar="TIME", help="given up before")
    add("--id", action="append", default=[], type=_number, metavar="ID", help="as dlq list shows it")
    shown = f"default: {limit}; 0 = all" if limit else "default: all"
    add("--limit", type=_number, default=limit, metavar="N", help=f"only the oldest N ({shown})")
    _add_storage(parser)


def _add_storage(parser: argparse.ArgumentParser) -> None:
    what = "extension that keeps them, where there are several: file_storage/second"
    parser.add_argument("--storage", metavar="ID", help=what)


def _time(text: str) -> float:
    """Return seconds since the Unix epoch."""
    if ago := _AGO.fullmatch(text.strip()):
        return time.time() - float(ago[1]) * _UNITS[ago[2]]
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        msg = f"{text!r} is no time: write 2026-01-31T12:00:00Z, 2026-01-31, or how long ago: 90s, 30m, 2h, 7d"
        raise argparse.ArgumentTypeError(msg) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _rate(text: str) -> float:
    """Return items per second."""
    found = _RATE.fullmatch(text.strip())
    if not found or not float(found[1]):
        msg = f"{text!r} is no rate: write items per time, 100/s or 6000/m"
        raise argparse.ArgumentTypeError(msg)
    return float(found[1]) / _UNITS[found[2] or "s"]


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        msg = f"{text!r} is no number"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _positive(text: str) -> int:
    if not (number := _number(text)):
        msg = "must be at least 1"
        raise argparse.ArgumentTypeError(msg)
    return number


def _reason(text: str) -> str:
    from untrace_pipeline.delivery.request import Reason  # noqa: PLC0415  most commands do not need it

    return _one_of(
        text.lower(), [reason.value for reason in Reason if reason not in {Reason.SHUTDOWN, Reason.FILTERED}], "reason"
    )


def _code(text: str) -> str:
    from untrace_pipeline.errors import Code  # noqa: PLC0415  most commands do not need it

    return _one_of(text.upper(), [code.name for code in Code if code is not Code.OK], "code")


def _one_of(text: str, known: Sequence[str], what: str) -> str:
    if text in known:
        return text
    close = get_close_matches(text, known, n=1)
    hint = f"; did you mean: {close[0]}?" if close else ""
    msg = f"{text!r} is no {what}; there are: {', '.join(known)}{hint}"
    raise argparse.ArgumentTypeError(msg)
