"""`python -m benchmarks workers`: one worker process against several, in the same scenario.

Two ways, because load generator and sink need cores too:

- *capped*: each worker gets the same part of a core (a CFS quota on its process, all threads included), small enough
  that all workers, generator and sink fit into the machine. Throughput is then what the workers can do: N workers on N
  such cores against one on one.
- *uncapped*: everything on all cores. Honest for this machine, and no measure of scaling on a small one, where
  generator and sink take what the workers want; besides, one worker with native transports uses more than one core.

CPU time per span is that of the whole service, supervisor included.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, get_args

import yaml

from benchmarks.cpu_caps import CpuCaps
from benchmarks.loadtool import Load, Sinks, run_load
from benchmarks.payload import write_payload
from benchmarks.procfs import cpu_seconds, process_tree
from benchmarks.report import environment
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.subjects import Mode, Subject, subjects
from tests.support.peers import PeerUnavailable

BAR = 1.8
"""Two workers on two cores against one; for N workers, 0.9 N."""
NAMES = (
    "pass-through grpc, 100/request",
    "pass-through grpc, 10/request",
    "redaction, 5 % hit",
    "redaction, 100 % hit",
)
CONNECTIONS, IN_FLIGHT_SPANS = 16, 20_000
"""Connections are what the kernel spreads; so many spans wait for answers that no worker is idle while batches fill."""
WARM_UP_SECONDS = 2.0
RESULTS = Path(__file__).parent / "results"
EXIT_FAILED, EXIT_USAGE = 1, 2
HEADER = "scenario | cores per worker | workers | spans/s | ratio | bar | verdict | CPU µs/span | ratio by CPU | used"

Row = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """How a scenario is measured."""

    workers: int
    share: float | None
    """Part of a core that each worker gets; None = uncapped."""


def _config(scenario: Scenario, workers: int) -> str:
    config = yaml.safe_load(scenario.config_text)
    config["service"]["workers"] = workers
    return str(yaml.safe_dump(config, sort_keys=False))


def _measure(subject: Subject, scenario: Scenario, way: Way, seconds: float, payload: Path) -> Row:
    """Offer as much as is answered, once."""

    def load(duration: float) -> dict[str, Any]:
        in_flight = IN_FLIGHT_SPANS // scenario.payload.spans_per_request
        offered = Load(payload, "grpc", duration, concurrency=in_flight, connections=CONNECTIONS)
        return run_load(offered, process.endpoint("GRPC_PORT"))

    with (
        CpuCaps(way.share or 1.0) as caps,
        Sinks() as sink,
        subject.process(_config(scenario, way.workers), sink.env | scenario.env) as process,
    ):
        tree = process_tree(process.pid)
        workers = tree[1:] if way.workers > 1 else tree
        for pid in workers if way.share else ():
            caps.cap(pid)
        load(WARM_UP_SECONDS)
        sink.settled(1 << 60, quiet_seconds=0.5)
        sink.reset()
        before = [cpu_seconds(pid) for pid in (process.pid, *workers)]
        report = load(seconds)
        used = [cpu_seconds(pid) - spent for pid, spent in zip(workers, before[1:], strict=True)]
        delivered = sink.settled(report["accepted_items"])
        spent = cpu_seconds(process.pid) - before[0]
    return {
        "spans_per_second": report["accepted_items_per_second"],
        "cpu_us_per_span": spent / max(1, report["accepted_items"]) * 1e6,
        "cores_per_worker": [each / report["seconds"] for each in used],
        "missing_spans": max(0, report["accepted_items"] - delivered["items"]),
        "refused": report["refused_requests"],
    }


def _ways(counts: Sequence[int], share: float) -> list[Way]:
    capped = [Way(count, share) for count in counts] if share else []
    return [*capped, *(Way(count, None) for count in counts)]


def _rows(scenario: str, runs: dict[Way, list[Row]]) -> list[list[str]]:
    """Return the table's rows: medians, and ratios to the smallest number of workers measured in the same way."""
    rows: list[list[str]] = []
    first: dict[float | None, tuple[int, float, float]] = {}
    for way, measured in runs.items():
        rate, cost = (median(run[key] for run in measured) for key in ("spans_per_second", "cpu_us_per_span"))
        used = median(cores for run in measured for cores in run["cores_per_worker"])
        base_workers, base_rate, base_cost = first.setdefault(way.share, (way.workers, rate, cost))
        bar = BAR / 2 * way.workers / base_workers
        judged = way.share is not None and way.workers > base_workers
        rows.append(
            [
                scenario,
                f"{way.share:g}" if way.share else "uncapped",
                str(way.workers),
                f"{rate:,.0f}",
                f"{rate / base_rate:.2f}",
                f"{bar:.2f}" if judged else "-",
                ("ok" if rate / base_rate >= bar else "MISSED") if judged else "-",
                f"{cost:.1f}",
                f"{base_cost / cost * way.workers / base_workers:.2f}",
                f"{used / way.share:.0%}" if way.share else f"{used:.2f} cores",
            ]
        )
    return rows


def _markdown(about: dict[str, Any], rows: list[list[str]]) -> str:
    lines = ["# One worker process against several", "", *(f"- {key}: {value}" for key, value in about.items()), ""]
    cells = [HEADER.split(" | "), ["---"] * len(HEADER.split(" | ")), *rows]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells)]) + "\n"


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks workers", description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", action="append", help=f"part of a name; default: {', '.join(NAMES)}")
    parser.add_argument("--workers", default="1,2", help="numbers of workers to compare (default: 1,2)")
    parser.add_argument("--share", type=float, default=0.25, help="part of a core per worker; 0 = uncapped only")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each run takes")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each; the table shows medians")
    parser.add_argument("--ours", choices=get_args(Mode)[:3], default="auto", help="our codec and transports")
    parser.add_argument("--name", default="workers", help="name of the result files")
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory of the result files")
    return parser.parse_args(arguments)


def compare_workers(arguments: Sequence[str]) -> int:
    """Measure, print, write. Returns the exit code."""
    given = _arguments(arguments)
    wanted = given.scenario or NAMES
    scenarios = [one for one in SCENARIOS if one.protocol == "grpc" and any(name in one.name for name in wanted)]
    if not scenarios:
        print("no scenario of that name goes in over gRPC", file=sys.stderr)
        return EXIT_USAGE
    subject = subjects(given.ours)["ours"]
    about = environment(" ".join(["python -m benchmarks workers", *arguments])) | {"ours": subject.runtime()}
    ways = _ways([int(count) for count in given.workers.split(",")], given.share)
    rows, raw = [], {}
    with tempfile.TemporaryDirectory() as payloads:
        for scenario in scenarios:
            payload = write_payload(scenario.payload, Path(payloads))
            runs: dict[Way, list[Row]] = {way: [] for way in ways}
            for way in ways * given.rounds:
                try:
                    runs[way].append(_measure(subject, scenario, way, given.seconds, payload))
                except PeerUnavailable as reason:
                    print(f"not measured: {reason}", file=sys.stderr)
                    return EXIT_FAILED
            rows += _rows(scenario.name, runs)
            raw[scenario.name] = [{"workers": way.workers, "share": way.share, "runs": runs[way]} for way in ways]
            print("\n".join("  ".join(row) for row in rows[-len(ways) :]), flush=True)
    text = _markdown(about, rows)
    given.results.mkdir(parents=True, exist_ok=True)
    (given.results / f"{given.name}.md").write_text(text)
    (given.results / f"{given.name}.json").write_text(
        json.dumps({"environment": about, "scenarios": raw}, indent=2) + "\n"
    )
    print(f"\n{text}\nwritten: {given.results / given.name}.md")
    return 0
