"""`python -m benchmarks stages`: what each stage of a pipeline costs, in the real daemon.

One pipeline is run with its first stage left alone, then with two, and so on, each time under the same load; what a
stage adds to the CPU time per span is its cost. The first row, without any, is transport and batching. Turn by turn,
medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, get_args

import yaml

from benchmarks.loadtool import Load, Sinks, run_load
from benchmarks.payload import PayloadSpec, write_payload
from benchmarks.procfs import cpu_seconds
from benchmarks.report import environment
from benchmarks.scenarios import config_text
from benchmarks.subjects import Mode, Subject, subjects
from tests.support.captures import captures
from tests.support.peers import PeerUnavailable
from untrace_pipeline.data import Signal

RESULTS = Path(__file__).parent / "results"
WARM_UP_SECONDS, IN_FLIGHT = 1.5, 64
QUIET_SECONDS = 2.5
"""Longer than samplers hold a trace back."""
EXIT_FAILED = 1
COLUMNS = ("stage", "CPU µs/span", "added", "MB/s per core", "spans out of 100")

Row = dict[str, float]


@dataclass(frozen=True)
class Traffic:
    """What is sent: a file of requests, spans and bytes in it."""

    path: Path
    spans: int
    size: int


def chat_spans(pii_percent: int) -> Callable[[Path], Traffic]:
    """Return a writer of LLM chat spans of 2.2 KB in the current GenAI form, 100 per request."""

    def write(directory: Path) -> Traffic:
        spec = PayloadSpec(100, pii_percent=pii_percent)
        path = write_payload(spec, directory)
        return Traffic(path, spec.total_spans, path.stat().st_size)

    return write


def recorded_spans(directory: Path) -> Traffic:
    """Write what real instrumentations sent (tests/captures), one request after the other."""
    path = directory / "captures.bin"
    batches = [batch for capture in captures().values() for _, batch in capture.otlp(Signal.TRACES)]
    with path.open("wb") as file:
        for batch in batches:
            body = batch.to_otlp()
            file.write(struct.pack(">I", len(body)) + body)
    return Traffic(path, sum(batch.item_count for batch in batches), path.stat().st_size)


TRAFFIC: dict[str, Callable[[Path], Traffic]] = {
    "chat spans of 2.2 KB, 5 % with personal data": chat_spans(5),
    "chat spans of 2.2 KB, none with personal data": chat_spans(0),
    "chat spans of 2.2 KB, all with personal data": chat_spans(100),
    "what 13 real instrumentations sent": recorded_spans,
}


def _first_stages(config: dict[str, Any], count: int) -> str:
    """Return the config with so many processors before the batch, and with its connectors only if all are there."""
    pipelines = {name: dict(pipeline) for name, pipeline in config["service"]["pipelines"].items()}
    head = pipelines["traces"]
    *stages, batch = head["processors"]
    head["processors"] = [*stages[:count], batch]
    connectors = config.get("connectors", {})
    if count <= len(stages):
        head["exporters"] = [*config["exporters"]][:1]
        pipelines = {"traces": head}
        connectors = {}
    used = {name for pipeline in pipelines.values() for name in pipeline.get("processors", ())}
    return yaml.safe_dump(
        {
            **config,
            "processors": {name: options for name, options in config["processors"].items() if name in used},
            "connectors": connectors,
            "service": {**config["service"], "pipelines": pipelines},
        },
        sort_keys=False,
    )


def _stages(config: dict[str, Any]) -> list[str]:
    processors = config["service"]["pipelines"]["traces"]["processors"][:-1]
    return ["transport, batch", *processors, *config.get("connectors", {})]


def _measure(subject: Subject, config: str, traffic: Traffic, seconds: float) -> Row:
    """Offer as much as is answered, once."""

    def load(duration: float) -> dict[str, Any]:
        return run_load(Load(traffic.path, "grpc", duration, concurrency=IN_FLIGHT), process.endpoint("GRPC_PORT"))

    with Sinks() as sink, subject.process(config, sink.env) as process:
        load(WARM_UP_SECONDS)
        sink.settled(1 << 60, QUIET_SECONDS)
        sink.reset()
        before = cpu_seconds(process.pid)
        report = load(seconds)
        delivered = sink.settled(report["accepted_items"], QUIET_SECONDS)
        spent = cpu_seconds(process.pid) - before
    spans = max(1, report["accepted_items"])
    return {
        "cpu_us_per_span": spent / spans * 1e6,
        "megabytes_per_cpu_second": spans * traffic.size / traffic.spans / spent / 1e6,
        "delivered_share": delivered["items"] / spans,
    }


def _rows(stages: Sequence[str], runs: Sequence[Sequence[Row]]) -> list[list[str]]:
    rows, before = [], 0.0
    for stage, measured in zip(stages, runs, strict=True):
        cost, rate, share = (median(run[key] for run in measured) for key in measured[0])
        rows.append([stage, f"{cost:.1f}", f"{cost - before:+.1f}", f"{rate:,.0f}", f"{share * 100:.0f}"])
        before = cost
    return rows


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [COLUMNS, ["---"] * len(COLUMNS), *rows])


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks stages", description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="llm", help="name of a file in scenarios/ (default: llm)")
    parser.add_argument(
        "--traffic", action="append", help=f"part of a name of: {'; '.join(TRAFFIC).replace('%', '%%')} (default: all)"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each run takes")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each; the tables show medians")
    parser.add_argument("--ours", choices=get_args(Mode)[:3], default="auto", help="our codec and transports")
    parser.add_argument("--name", default="stages", help="name of the result files")
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory of the result files")
    return parser.parse_args(arguments)


def measure_stages(arguments: Sequence[str]) -> int:
    """Measure, print, write. Returns the exit code."""
    given = _arguments(arguments)
    config = yaml.safe_load(config_text(given.config))
    stages = _stages(config)
    configs = [_first_stages(config, count) for count in range(len(stages))]
    subject = subjects(given.ours)["ours"]
    about = environment(" ".join(["python -m benchmarks stages", *arguments])) | {"ours": subject.runtime()}
    text = "\n".join(["# What each stage costs", "", *(f"- {key}: {value}" for key, value in about.items()), ""])
    raw: dict[str, Any] = {"environment": about, "stages": stages, "runs": {}}
    with tempfile.TemporaryDirectory() as payloads:
        for name, write in TRAFFIC.items():
            if given.traffic and not any(part in name for part in given.traffic):
                continue
            traffic = write(Path(payloads))
            runs: list[list[Row]] = [[] for _ in stages]
            try:
                for _ in range(given.rounds):
                    for each, stage_config in zip(runs, configs, strict=True):
                        each.append(_measure(subject, stage_config, traffic, given.seconds))
            except PeerUnavailable as reason:
                print(f"not measured: {reason}", file=sys.stderr)
                return EXIT_FAILED
            raw["runs"][name] = runs
            part = f"\n## {name}, {traffic.size / traffic.spans:,.0f} bytes each\n\n{_table(_rows(stages, runs))}\n"
            print(part, flush=True)
            text += part
    given.results.mkdir(parents=True, exist_ok=True)
    (given.results / f"{given.name}.md").write_text(text)
    (given.results / f"{given.name}.json").write_text(json.dumps(raw, indent=2) + "\n")
    print(f"written: {given.results / given.name}.md")
    return 0
