"""Resident memory of work that is done over and over: ``python -m tests.support.leaks --spans 10000000``."""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from untrace_pipeline.data import ATTRIBUTES, Field, Level, Signal, attribute
from untrace_pipeline.data.codec import Codec, Edits
from untrace_pipeline.data.codecs import active_codec
from untrace_pipeline.errors import DecodeError
from untrace_pipeline.testing.generate import make_request

SPANS_PER_REQUEST = 100
FIELDS = [Field(Level.ITEM, "name"), Field(Level.ITEM, "trace_id"), Field(Level.ITEM, ATTRIBUTES), attribute("a")]


def rss_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def requests() -> list[bytes]:
    """Return requests of a hundred spans that differ in size."""
    return [
        make_request(
            Signal.TRACES, SPANS_PER_REQUEST, resources=2, attributes={"a": "x" * size, "b": [1, {"c": b"x"}]}
        ).SerializeToString()
        for size in (10, 200, 900)
    ]


def work(codec: Codec, body: bytes, rng: random.Random) -> None:
    """Do everything that a codec does: count, decode, read, edit, cut, JSON both ways; also what is refused."""
    codec.count(Signal.TRACES, body)
    table = codec.table(Signal.TRACES, body)
    table.columns(FIELDS)
    table.parents(Level.ITEM, Level.RESOURCE)
    table.ranges()
    table.repeated_keys(Level.ITEM)
    values = {row: f"new {rng.random()}" * 30 for row in range(0, SPANS_PER_REQUEST, 3)}
    edits = Edits({attribute("b"): dict.fromkeys(range(50)), attribute("c"): {**values}}, {Level.ITEM: {1, 5, 7}})
    table.rewrite(edits)
    table.partition([row % 3 - 1 for row in range(SPANS_PER_REQUEST)], 2)
    table.split(30, 0)
    text = codec.to_json(Signal.TRACES, body)
    codec.from_json(Signal.TRACES, text)
    _fails(DecodeError, codec.table, Signal.TRACES, body[:-3])
    _fails(DecodeError, codec.from_json, Signal.TRACES, text[:-3])
    _fails(ValueError, table.rewrite, Edits({Field(Level.ITEM, "trace_id"): {0: b"short"}}))


def _fails(error: type[Exception], action: Callable[..., object], *arguments: object) -> None:
    try:
        action(*arguments)
    except error:
        return
    msg = f"{action} did not fail"
    raise AssertionError(msg)


def growth(
    codec: Codec, spans: int, warm_up_spans: int = 50_000, report: Callable[[int, int], None] | None = None
) -> int:
    """Return by how many bytes the process grows while a codec works on so many spans, after a warm-up."""
    bodies, rng = requests(), random.Random(1)
    for number in range(warm_up_spans // SPANS_PER_REQUEST):
        work(codec, bodies[number % len(bodies)], rng)
    gc.collect()
    before = rss_bytes()
    for number in range(spans // SPANS_PER_REQUEST):
        work(codec, bodies[number % len(bodies)], rng)
        if report and number % 10_000 == 0:
            report(number * SPANS_PER_REQUEST, rss_bytes() - before)
    gc.collect()
    return rss_bytes() - before


def main() -> int:
    """Print the growth now and then; 1 if it is above the limit in the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.leaks", description=__doc__)
    parser.add_argument("--spans", type=int, default=10_000_000)
    parser.add_argument("--limit-mib", type=float, default=8.0)
    arguments = parser.parse_args()
    codec, begin = active_codec(), time.monotonic()

    def report(done: int, grown: int) -> None:
        print(f"{codec.name}: {done:,} spans, {grown / 2**20:+.1f} MiB, {time.monotonic() - begin:.0f} s", flush=True)

    grown = growth(codec, arguments.spans, report=report)
    report(arguments.spans, grown)
    return int(grown > arguments.limit_mib * 2**20)


if __name__ == "__main__":
    sys.exit(main())
