"""`python -m benchmarks proxy`: what an LLM proxy costs its callers: a direct call, our daemon, LiteLLM's proxy.

Client and provider are one Go program that moves ready bytes. All ways are open during the whole run and are measured
turn by turn; what a proxy adds is its quantile less that of the direct calls of the same round. The tables show medians
of the rounds. CPU time is that of the proxy's processes, with what comes after the last byte: our daemon builds and
exports a span of each call, LiteLLM records nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from benchmarks.llm_traffic import MODEL, Kind, Provider, Traffic, send
from benchmarks.loadtool import Sinks
from benchmarks.procfs import RssSampler, cpu_seconds, rss_bytes
from benchmarks.proxy_report import memory_table, table
from benchmarks.report import environment
from benchmarks.scenarios import config_text
from benchmarks.subjects import Mode, subjects
from tests.support.peers import LITELLM_REQUIREMENTS, LiteLlm, PeerUnavailable, litellm_environment

RESULTS = Path(__file__).parent / "results"
EXIT_FAILED, EXIT_PEER_SKIPPED = 1, 3
MANY = 32
WARM_UP_REQUESTS = 300
QUIET_SECONDS = 1.5
PHASES: tuple[tuple[str, Kind, int], ...] = (
    ("one", "plain", 1),
    ("one stream", "stream", 1),
    ("many", "plain", MANY),
    ("many streams", "stream", MANY),
)

Row = dict[str, float]


@dataclass(frozen=True)
class Way:
    """A way to the provider."""

    name: str
    target: str
    pid: int | None = None
    """Of the proxy; `None` for the direct way."""
    sinks: Sinks | None = None
    """Where its spans go."""

    def settle(self) -> None:
        """Wait until nothing comes any more."""
        if self.sinks is not None:
            self.sinks.settled(1 << 60, QUIET_SECONDS)


def _measure(way: Way, traffic: Traffic, kind: Kind, clients: int, seconds: float) -> Row:
    if way.sinks is not None:
        way.sinks.reset()
    before = cpu_seconds(way.pid) if way.pid else 0.0
    report = send(traffic, kind, way.target, clients=clients, seconds=seconds)
    way.settle()
    row = {
        "p50_ms": report["whole_us"]["p50"] / 1000,
        "p99_ms": report["whole_us"]["p99"] / 1000,
        "first_p50_ms": report["first_us"]["p50"] / 1000,
        "first_p99_ms": report["first_us"]["p99"] / 1000,
        "requests": report["requests"],
        "per_second": report["requests"] / report["seconds"],
    }
    if way.pid:
        row["per_cpu_second"] = report["requests"] / (cpu_seconds(way.pid) - before)
        row["rss_mb"] = rss_bytes(way.pid) / 1e6
    if way.sinks is not None:
        row["lost_spans"] = report["requests"] - way.sinks.stats()["items"]
    return row


def _measure_memory(way: Way, traffic: Traffic, requests: int) -> dict[str, float]:
    """Return the resident memory, largest in each tenth of so many requests by 32 clients, in MB.

    Raises `ValueError` if a call has no span.
    """
    assert way.pid is not None
    assert way.sinks is not None
    way.sinks.reset()
    found = {}
    for tenth in range(1, 11):
        with RssSampler(way.pid) as sampler:
            send(traffic, "plain", way.target, clients=MANY, requests=requests // 10)
        found[f"{requests * tenth // 10:,}"] = sampler.peak() / 1e6
    way.settle()
    if lost := requests // 10 * 10 - way.sinks.stats()["items"]:
        msg = f"{lost} spans of {requests} calls are lost"
        raise ValueError(msg)
    return found


@contextlib.contextmanager
def _ways(ours: Mode, traffic: Traffic, *, litellm: bool) -> Iterator[list[Way]]:
    """Open all ways, warmed up."""
    with ExitStack() as stack:
        provider = stack.enter_context(Provider(traffic))
        sinks = stack.enter_context(Sinks())
        env = {"UPSTREAM": provider.address, **sinks.env}
        daemon = stack.enter_context(subjects(ours)["ours"].process(config_text("llm_proxy"), env))
        ways = [
            Way("direct", provider.address),
            Way("ours", daemon.endpoint("PROXY_PORT"), daemon.pid, sinks),
        ]
        if litellm:
            peer = stack.enter_context(LiteLlm(f"http://{provider.address}", MODEL))
            ways.append(Way("litellm", f"127.0.0.1:{peer.port}", peer.pid))
        for way in ways:
            for kind in get_args(Kind):
                send(traffic, kind, way.target, clients=8, requests=WARM_UP_REQUESTS)
            way.settle()
        yield ways


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(prog="python -m benchmarks proxy", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each measurement takes")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each; the tables show medians")
    parser.add_argument("--requests", type=int, default=100_000, help="calls over which memory is watched; 0 = none")
    parser.add_argument("--without-litellm", action="store_true", help="measure our daemon alone")
    parser.add_argument("--ours", choices=get_args(Mode)[:3], default="auto", help="our codec and transports")
    parser.add_argument("--name", default="proxy", help="name of the result files")
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory of the result files")
    return parser.parse_args(arguments)


def _litellm_version() -> str:
    lines = LITELLM_REQUIREMENTS.read_text().splitlines()
    return next(line for line in lines if line.startswith("litellm==")).partition("==")[2]


def measure_proxy(arguments: Sequence[str]) -> int:
    """Measure, print, write. Returns the exit code."""
    given = _arguments(arguments)
    litellm = not given.without_litellm
    try:
        if litellm:
            litellm_environment()
    except PeerUnavailable as reason:
        print(f"not measured: {reason}", file=sys.stderr)
        litellm = False
    about = environment(" ".join(["python -m benchmarks proxy", *arguments]))
    about |= {"ours": subjects(given.ours)["ours"].runtime()} | ({"litellm": _litellm_version()} if litellm else {})
    runs: dict[str, dict[str, list[Row]]] = {}
    memory: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        traffic = Traffic(Path(directory))
        traffic.write()
        about["traffic"] = traffic.describe()
        try:
            with _ways(given.ours, traffic, litellm=litellm) as ways:
                for phase, kind, clients in PHASES:
                    rounds: dict[str, list[Row]] = {way.name: [] for way in ways}
                    runs[phase] = rounds
                    for way in ways * given.rounds:
                        rounds[way.name].append(_measure(way, traffic, kind, clients, given.seconds))
                if given.requests:
                    memory = _measure_memory(ways[1], traffic, given.requests)
        except (PeerUnavailable, ValueError) as reason:
            print(f"not measured: {reason}", file=sys.stderr)
            return EXIT_FAILED
    text = "\n".join(["# What a proxy adds to LLM calls", "", *(f"- {key}: {value}" for key, value in about.items())])
    text += f"\n\n{table(runs)}\n" + (f"\n{memory_table(memory)}\n" if memory else "")
    print(text)
    given.results.mkdir(parents=True, exist_ok=True)
    (given.results / f"{given.name}.md").write_text(text)
    raw: dict[str, Any] = {"environment": about, "runs": runs, "memory_mb": memory}
    (given.results / f"{given.name}.json").write_text(json.dumps(raw, indent=2) + "\n")
    print(f"written: {given.results / given.name}.md")
    return 0 if litellm or given.without_litellm else EXIT_PEER_SKIPPED
