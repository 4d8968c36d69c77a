"""`python -m benchmarks capture`: what it costs to make a span of a call through the LLM proxy, per API.

In one process, without a daemon: bodies of the tests' stand-in, of about 2 KB, and streams of about 100 chunks. The
best of many short rounds, so that what else the machine does counts little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.report import environment
from tests.support import llm_requests
from tests.support.exchanges import asked, seen
from tests.support.llm_upstream import truth
from untrace_plugins.genai.providers.exchange import Capture, Exchange
from untrace_plugins.genai.providers.span import to_span

RESULTS = Path(__file__).parent / "results"
ROUNDS, CALLS = 200, 20
QUESTION = "Where is my parcel, and when will it be here? " * 22
ANSWER = "The parcel is at customs and will be there soon. " * 10
"""A hundred words: as many chunks."""
COLUMNS = ("API", "bytes", "µs", "chunks", "bytes of the stream", "µs", "µs per chunk")


def measure_capture(arguments: Sequence[str]) -> int:
    """Measure, print, write. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks capture", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    about = environment(" ".join(["python -m benchmarks capture", *arguments]))
    lines = ["# What the span of a proxied call costs", "", *(f"- {key}: {value}" for key, value in about.items()), ""]
    lines += [" | ".join(COLUMNS), " | ".join("---" for _ in COLUMNS)]
    with mock.patch.object(truth, "TEXT", ANSWER):
        lines += [" | ".join(row) for row in _rows()]
    text = "\n".join(lines) + "\n"
    print(text)
    given.results.mkdir(parents=True, exist_ok=True)
    (given.results / "capture.md").write_text(text, encoding="utf-8")
    return 0


def _rows() -> Iterator[list[str]]:
    for make in llm_requests.APIS:
        plain, stream = seen(*asked(*make(QUESTION))), seen(*asked(*make(QUESTION, stream=True)))
        chunks, cost = len(stream.response.chunks), _cost(stream)
        yield [
            make.__name__,
            *(str(plain.request.size + plain.response.size), f"{_cost(plain):.0f}"),
            *(str(chunks), str(stream.response.size), f"{cost:.0f}", f"{cost / chunks:.1f}"),
        ]


def _cost(exchange: Exchange) -> float:
    """Return the microseconds of one call."""
    return min(_round(lambda: to_span(exchange, Capture.FULL)) for _ in range(ROUNDS)) * 1e6


def _round(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        work()
    return (time.perf_counter() - began) / CALLS
