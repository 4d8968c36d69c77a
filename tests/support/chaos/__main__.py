"""The two ends as programs: `python -m tests.support.chaos sink|send`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import stat
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson

from tests.support.chaos.faults import Schedule, Weights
from tests.support.chaos.sender import Sender, SenderConfig
from tests.support.chaos.server import ChaosSink


def _say(value: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS) + b"\n")
    sys.stdout.buffer.flush()


async def _commands(handle: Callable[[list[str]], None], stopped: asyncio.Event) -> None:
    """Hand each line of the standard input over as words; SIGTERM, SIGINT and the end of a pipe stop the program."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if not stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        return
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        handle(line.decode().split())
    stopped.set()


async def _until_stopped(handle: Callable[[list[str]], None]) -> None:
    stopped = asyncio.Event()
    commands = asyncio.create_task(_commands(handle, stopped))
    await stopped.wait()
    commands.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await commands


async def _sink(arguments: argparse.Namespace) -> None:
    schedule = Schedule(arguments.seed, Weights.parse(arguments.weights))
    ports = {"grpc_port": arguments.grpc_port, "http_port": arguments.http_port}
    async with ChaosSink(schedule, arguments.record, **ports) as sink:

        def handle(words: list[str]) -> None:
            if words[:1] == ["weights"]:
                schedule.weights = Weights.parse(words[1])
            _say({"steps": sink.judge.steps, "accepted": sink.judge.accepted})

        _say({"grpc": sink.grpc, "http": sink.http})
        await _until_stopped(handle)
        _say({"seed": arguments.seed, "steps": sink.judge.steps, "accepted": sink.judge.accepted})


async def _send(arguments: argparse.Namespace) -> None:
    config = SenderConfig(
        number=arguments.number, workers=arguments.workers, items=tuple(arguments.items), rate=arguments.rate
    )
    sender = Sender(config, grpc=arguments.grpc, http=arguments.http, record=arguments.record)
    running = asyncio.create_task(sender.run(arguments.seconds))

    def handle(_: list[str]) -> None:
        _say(sender.report())

    waiting = asyncio.create_task(_until_stopped(handle))
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    sender.stop()
    await running
    waiting.cancel()
    _say(sender.report())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.support.chaos", description=__doc__)
    commands = parser.add_subparsers(required=True)
    sink = commands.add_parser("sink", help="an OTLP backend that misbehaves; says its addresses on the first line")
    sink.set_defaults(run=_sink)
    sink.add_argument("--seed", type=int, default=0)
    sink.add_argument("--weights", default="wild", help="calm, wild, retryable, or accept=60,hang=1,…")
    sink.add_argument("--record", type=Path, help="file that gets one line per request")
    sink.add_argument("--grpc-port", type=int, default=0)
    sink.add_argument("--http-port", type=int, default=0)
    send = commands.add_parser("send", help="an application that sends until everything is acknowledged")
    send.set_defaults(run=_send)
    send.add_argument("--grpc", help="host:port of an OTLP/gRPC receiver")
    send.add_argument("--http", help="host:port of an OTLP/HTTP receiver")
    send.add_argument("--seconds", type=float, default=10.0)
    send.add_argument("--number", type=int, default=1, help="of this sender: makes its ids its own")
    send.add_argument("--workers", type=int, default=8)
    send.add_argument("--items", type=int, nargs=2, default=(1, 50), metavar=("MIN", "MAX"), help="per request")
    send.add_argument("--rate", type=float, default=0.0, help="requests per second; 0 is as fast as answers come")
    send.add_argument("--record", type=Path, help="file that gets one line per acknowledged request")
    return parser.parse_args()


def main() -> None:
    """Run until stopped."""
    arguments = _arguments()
    run: Callable[[argparse.Namespace], Coroutine[Any, Any, None]] = arguments.run
    asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
