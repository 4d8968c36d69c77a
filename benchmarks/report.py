"""Results as a table for people and as JSON for machines."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.scenarios import (
    IDLE_RSS_BAR_BYTES,
    IDLE_RSS_DREAM_BYTES,
    READY_BAR_SECONDS,
    READY_DREAM_SECONDS,
    SCENARIOS,
    Overload,
    Scenario,
)
from tests.support.peers import COLLECTOR_RECIPE

MEGABYTE = 1_000_000
DISTRIBUTIONS = ("untrace-pipeline", "untrace-pipeline-native", "uvloop", "grpcio", "aiohttp", "protobuf", "zstandard")
Runs = Sequence[Mapping[str, Any]]
SCENARIO_COLUMNS = (
    "scenario | CPU µs/span ours | Collector | ratio | saturated: ours | Collector | ratio | bar | dream | verdict | "
    "spans/s ours | Collector | RSS MB ours | Collector | verdict | ack p50/p99 ms ours | Collector | "
    "end to end p50/p99 ms ours | Collector | same output"
)
HEADER = SCENARIO_COLUMNS.split(" | ")


def _first_line(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return "unknown"


def _output_of(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return "none"
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _collector_version() -> str:
    for line in (COLLECTOR_RECIPE / "go.mod").read_text().splitlines():
        if "collector/receiver/otlpreceiver " in line:
            return line.split()[1]
    return "unknown"


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "none"


def environment(command: str) -> dict[str, Any]:
    """Describe hardware, versions and commit."""
    dirty = bool(_output_of("git", "status", "--porcelain", "--untracked-files=no"))
    return {
        "command": command,
        "commit": _output_of("git", "rev-parse", "--short=12", "HEAD") + ("+changes" if dirty else ""),
        "cpu": _first_line("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": _first_line("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "versions": ", ".join(f"{name} {_version(name)}" for name in DISTRIBUTIONS),
        "python": platform.python_version(),
        "rust": _output_of("rustc", "--version"),
        "go": _output_of("go", "version"),
        "collector": _collector_version(),
    }


def _mean(runs: Runs, *path: str) -> float | None:
    values: list[float] = []
    for run in runs:
        value: Any = run
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            values.append(float(value))
    return mean(values) if values else None


def _show(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _pair(runs: Runs, key: str) -> str:
    p50, p99 = _mean(runs, "fixed", key, "p50_ms"), _mean(runs, "fixed", key, "p99_ms")
    return "-" if p50 is None else f"{_show(p50)} / {_show(p99)}"


def _peak_mb(runs: Runs) -> float | None:
    """Largest memory of both phases, mean over the rounds."""
    phases = [_mean(runs, phase, "rss_bytes") for phase in ("fixed", "saturation")]
    known = [phase for phase in phases if phase is not None]
    return max(known) / MEGABYTE if known else None


def verdict(ratio: float | None, bar: float | None, dream: float | None) -> str:
    """Say how a ratio stands against its bar."""
    if ratio is None or bar is None:
        return "-"
    if dream is not None and ratio <= dream:
        return "dream"
    return "ok" if ratio <= bar else "MISSED"


def _memory_verdict(mine: float | None, peer: float | None) -> str:
    """Say whether we need more memory than the Collector does in the same scenario."""
    if mine is None or peer is None:
        return "-"
    return "ok" if mine <= peer else "MISSED"


def _costs(
    result: Mapping[str, Any], phase: str, name: str = "ours"
) -> tuple[float | None, float | None, float | None]:
    """Answer CPU time per span of us and the Collector, and their ratio."""
    mine, peer = (_mean(result.get(subject, []), phase, "cpu_us_per_span") for subject in (name, "collector"))
    return mine, peer, mine / peer if mine is not None and peer else None


def scenario_row(scenario: Scenario, result: Mapping[str, Any]) -> list[str]:
    """Answer the cells of one scenario. The verdict is on the worse of the two ratios."""
    ours, theirs = result.get("ours", []), result.get("collector", [])
    cells, ratios = [scenario.name], []
    for phase in ("fixed", "saturation"):
        mine, peer, ratio = _costs(result, phase)
        cells += [_show(mine), _show(peer), _show(ratio, 3)]
        ratios += [ratio] if ratio is not None else []
    cells += [_show(scenario.bar, 3), _show(scenario.dream, 3)]
    cells += [verdict(max(ratios, default=None), scenario.bar, scenario.dream)]
    cells += [_show(_mean(runs, "saturation", "spans_per_second"), 0) for runs in (ours, theirs)]
    memory = [_peak_mb(runs) for runs in (ours, theirs)]
    cells += [*(_show(each, 0) for each in memory), _memory_verdict(*memory)]
    cells += [_pair(runs, key) for key in ("ack", "end_to_end") for runs in (ours, theirs)]
    return [*cells, str(result.get("same_output", "-"))]


def _modes_table(scenarios: Mapping[str, Mapping[str, Any]]) -> str:
    """Put our two ways beside each other, each with its ratio to the Collector."""
    header = "CPU µs/span | native | python | native / python | native / Collector | python / Collector"
    rows = []
    for name, result in scenarios.items():
        for phase in ("fixed", "saturation"):
            native, _, native_ratio = _costs(result, phase, "ours")
            python, _, python_ratio = _costs(result, phase, "python")
            if native is not None and python is not None:
                ratios = (native / python, native_ratio, python_ratio)
                cells = [_show(native), _show(python), *(_show(ratio, 3) for ratio in ratios)]
                rows.append([f"{name}, {'saturated' if phase == 'saturation' else 'fixed rate'}", *cells])
    return _markdown(header.split(" | "), rows) if rows else ""


def _compression_table(scenarios: Mapping[str, Mapping[str, Any]]) -> str:
    """Say how well each compressed what it sent: who spends less time may have spared it here."""
    rows = []
    for name, result in scenarios.items():
        sizes = [_mean(result.get(subject, []), "fixed", "sent_bytes_per_span") for subject in ("ours", "collector")]
        if any(sizes):
            rows.append([name, *(_show(size, 0) for size in sizes)])
    return _markdown(["bytes/span sent out, compressed", "ours", "Collector"], rows) if rows else ""


def _beside_table(scenarios: Mapping[str, Mapping[str, Any]]) -> str:
    """Put pairs of scenarios beside each other that differ in one thing, for each who was measured."""
    header = "beside each other | who | CPU µs/span without | with | ratio | saturated: without | with | ratio | "
    header += "spans/s without | with | ack p50/p99 ms without | with"
    rows = []
    for scenario in SCENARIOS:
        if scenario.beside and {scenario.beside, scenario.name} <= scenarios.keys():
            pair = (scenarios[scenario.beside], scenarios[scenario.name])
            rows += [
                [scenario.name, subject, *_beside(*(result[subject] for result in pair))]
                for subject in ("ours", "python", "collector")
                if all(result.get(subject) for result in pair)
            ]
    return _markdown(header.split(" | "), rows) if rows else ""


def _beside(without: Runs, with_it: Runs) -> list[str]:
    cells = []
    for phase in ("fixed", "saturation"):
        one, other = (_mean(runs, phase, "cpu_us_per_span") for runs in (without, with_it))
        cells += [_show(one), _show(other), _show(other / one if one and other else None, 2)]
    cells += [_show(_mean(runs, "saturation", "spans_per_second"), 0) for runs in (without, with_it)]
    return cells + [_pair(runs, "ack") for runs in (without, with_it)]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _idle_table(idle: Mapping[str, Runs]) -> str:
    rows = []
    for subject, runs in idle.items():
        rss, ready = _mean(runs, "rss_bytes") or 0.0, _mean(runs, "ready_seconds") or 0.0
        judge = subject != "collector"
        rows.append(
            [
                subject,
                _show(rss / MEGABYTE),
                verdict(rss, IDLE_RSS_BAR_BYTES, IDLE_RSS_DREAM_BYTES) if judge else "-",
                _show(ready, 2),
                verdict(ready, READY_BAR_SECONDS, READY_DREAM_SECONDS) if judge else "-",
            ]
        )
    return _markdown(["idle", "RSS MB", "bar 80, dream 50", "ready s", "bar 0.8, dream 0.4"], rows)


def _overload_verdict(run: Mapping[str, Any]) -> str:
    rss = run["rss_bytes"]
    faults = []
    if rss["max"] - rss["min"] > Overload.rss_bar_spread * rss["max"]:
        faults.append("RSS not flat")
    if run["refused_permanent"]:
        faults.append("permanent refusals")
    if run["refused_with_delay"] < run["refused_retryable"]:
        faults.append("refusals that do not say when to come back")
    if run["lost_spans"]:
        faults.append("loss after acceptance")
    if any(account["balance"] for account in run["ledger"] or ()):
        faults.append("the ledger does not sum")
    return "MISSED: " + ", ".join(faults) if faults else "ok"


def _overload_table(name: str, overload: Mapping[str, Mapping[str, Any]]) -> str:
    header = f"{name} | offered spans | accepted | delivered | lost | refused retryable | permanent | with delay"
    rows = [
        [
            subject,
            *(f"{run[key]:,}" for key in ("offered_spans", "accepted_spans", "delivered_spans", "lost_spans")),
            *(f"{run[key]:,}" for key in ("refused_retryable", "refused_permanent", "refused_with_delay")),
            f"{run['rss_bytes']['min'] / MEGABYTE:.0f}-{run['rss_bytes']['max'] / MEGABYTE:.0f}",
            _overload_verdict(run),
        ]
        for subject, run in overload.items()
    ]
    return _markdown([*header.split(" | "), "RSS MB after warm-up", "verdict"], rows)


def markdown(results: Mapping[str, Any]) -> str:
    """Answer the whole report."""
    about = results["environment"]
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    parts = ["# Benchmark results", "", *(f"- {key}: {value}" for key, value in about.items()), ""]
    parts += [f"- not measured: {reason}" for reason in results.get("skipped", [])]
    rows = [scenario_row(by_name[name], result) for name, result in results["scenarios"].items()]
    if rows:
        parts += ["", _markdown(HEADER, rows)]
    if modes := _modes_table(results["scenarios"]):
        parts += ["", modes]
    if beside := _beside_table(results["scenarios"]):
        parts += ["", beside]
    if compression := _compression_table(results["scenarios"]):
        parts += ["", compression]
    if results.get("idle"):
        parts += ["", _idle_table(results["idle"])]
    for name, runs in results.get("overload", {}).items():
        parts += ["", _overload_table(name, runs)]
    failures = [f"- {name}: {text}" for name, text in results.get("failures", {}).items()]
    if failures:
        parts += ["", "## Failures", "", *failures]
    return "\n".join(parts) + "\n"


def write_results(results: Mapping[str, Any], directory: Path, name: str) -> Path:
    """Write `<name>.json` and `<name>.md`; answer the latter."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n")
    path = directory / f"{name}.md"
    path.write_text(markdown(results))
    return path
