"""Measure one daemon in one scenario."""

from __future__ import annotations

import json
import tempfile
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.loadtool import Load, Sinks, run_load
from benchmarks.payload import write_payload
from benchmarks.procfs import RssSampler, cpu_seconds, rss_bytes
from benchmarks.scenarios import Overload, Scenario, config_text
from benchmarks.subjects import Subject
from tests.support.peers import ConfiguredProcess, PeerProcessError
from tests.support.peers.canonical import canonical_items, parse_proto, read_framed

WARM_UP_SECONDS = 1.0


@dataclass(frozen=True)
class Durations:
    """How long each part of a measurement takes, in seconds, and how often it is repeated."""

    fixed: float = 5.0
    saturation: float = 3.0
    overload: float = 60.0
    rounds: int = 2


QUICK = Durations(fixed=3.0, saturation=1.5, overload=15.0, rounds=1)


def _target(process: ConfiguredProcess, protocol: str) -> str:
    return process.endpoint("GRPC_PORT" if protocol == "grpc" else "HTTP_PORT")


def _fixed_rate(process: ConfiguredProcess, sink: Sinks, load: Load) -> dict[str, Any]:
    """Offer a fixed amount; answer CPU time per offered span, latencies and the largest memory."""
    sink.reset()
    before = cpu_seconds(process.pid)
    with RssSampler(process.pid) as rss:
        report = run_load(load, _target(process, load.protocol))
        delivered = sink.settled(report["accepted_items"])
    if not report["accepted_items"]:
        raise PeerProcessError(f"every request was refused: {report['refused_requests']}; log: {process.log[-1000:]}")
    cpu = cpu_seconds(process.pid) - before
    return {
        "offered_spans": report["items"],
        "accepted_spans": report["accepted_items"],
        "delivered_spans": delivered["items"],
        "cpu_us_per_span": cpu / report["items"] * 1e6,
        "sent_bytes_per_span": delivered["compressed_bytes"] / max(1, delivered["items"]),
        "cpu_seconds": cpu,
        "rss_bytes": rss.peak(),
        "ack": report["latency"],
        "end_to_end": delivered["latency"],
        "refused": report["refused_requests"],
        "unsent_requests": report["unsent_requests"],
    }


def _saturation(process: ConfiguredProcess, sink: Sinks, load: Load) -> dict[str, Any]:
    """Offer as much as is answered; spans/s are those accepted, `lost` those that never came out."""
    sink.reset()
    before = cpu_seconds(process.pid)
    with RssSampler(process.pid) as rss:
        report = run_load(load, _target(process, load.protocol))
        delivered = sink.settled(report["accepted_items"])
    return {
        "spans_per_second": report["accepted_items_per_second"],
        "accepted_spans": report["accepted_items"],
        "delivered_spans": delivered["items"],
        "cpu_us_per_span": (cpu_seconds(process.pid) - before) / max(1, report["accepted_items"]) * 1e6,
        "rss_bytes": rss.peak(),
        "ack": report["latency"],
        "refused": report["refused_requests"],
    }


def measure(subject: Subject, scenario: Scenario, durations: Durations, sink: Sinks, payloads: Path) -> dict[str, Any]:
    """Run the scenario once against one daemon."""
    payload = write_payload(scenario.payload, payloads)
    load = Load(
        payload,
        scenario.protocol,
        duration=WARM_UP_SECONDS,
        rate=scenario.rate,
        concurrency=scenario.concurrency,
        compression=scenario.compression,
        unique=scenario.unique,
    )
    with subject.process(scenario.config_text, sink.env | scenario.env) as process:
        run_load(load, _target(process, scenario.protocol))
        sink.settled(1 << 60, quiet_seconds=0.5)
        result = {"fixed": _fixed_rate(process, sink, replace(load, duration=durations.fixed))}
        if durations.saturation:
            result["saturation"] = _saturation(process, sink, replace(load, duration=durations.saturation, rate=0))
    return result


def output_of(subject: Subject, scenario: Scenario, payloads: Path) -> Counter[Any]:
    """Send every request of the payload once and answer all that came out, in canonical form."""
    payload = write_payload(scenario.payload, payloads)
    requests = scenario.payload.total_spans // scenario.payload.spans_per_request
    load = Load(
        payload,
        scenario.protocol,
        requests=requests,
        concurrency=min(16, requests),
        stamp=False,
        compression=scenario.compression,
    )
    with tempfile.TemporaryDirectory() as directory:
        captures = [Path(directory, str(number)) for number in range(scenario.sinks)]
        for capture in captures:
            capture.mkdir()
        with (
            Sinks(scenario.sinks, captures) as sinks,
            subject.process(scenario.config_text, sinks.env | scenario.env) as process,
        ):
            run_load(load, _target(process, scenario.protocol))
            sinks.settled(scenario.payload.total_spans)
        bodies = (body for capture in captures for body in read_framed(capture / "traces.bin"))
        return canonical_items("traces", (parse_proto("traces", body) for body in bodies))


def measure_idle(subject: Subject) -> dict[str, Any]:
    """Start a daemon that has nothing to do: time to ready and memory two seconds later."""
    with subject.process(config_text("pass_through"), {"SINK_GRPC": "127.0.0.1:1"}) as process:
        with RssSampler(process.pid) as rss:
            rss.wait(2.0)
        return {"ready_seconds": process.ready_seconds, "rss_bytes": rss_bytes(process.pid)}


def _ledger(process: ConfiguredProcess) -> list[dict[str, Any]] | None:
    """Answer what our daemon says became of everything; the Collector has nothing to say."""
    try:
        with urllib.request.urlopen(f"http://{process.endpoint('METRICS_PORT')}/ledger", timeout=10) as answer:
            ledger: list[dict[str, Any]] = json.load(answer)["ledger"]
    except urllib.error.HTTPError:
        return None
    return ledger


def measure_overload(
    subject: Subject, overload: Overload, seconds: float, scenario: Scenario, payloads: Path
) -> dict[str, Any]:
    """Offer ten times what the destination takes; then lift its limit and see whether all that was accepted arrives."""
    load = Load(
        write_payload(scenario.payload, payloads),
        "grpc",
        duration=seconds,
        rate=overload.offered / overload.spans_per_request,
        concurrency=512,
    )
    with Sinks() as sink, subject.process(config_text(overload.config), sink.env) as process:
        sink.limit(overload.capacity)
        with RssSampler(process.pid, 0.5) as rss:
            report = run_load(load, _target(process, "grpc"))
        during = sink.stats()
        sink.limit(0)
        after = sink.settled(report["accepted_items"], quiet_seconds=10.0, timeout=120.0)
        low, high = rss.spread_after(seconds / 4)
        ledger = _ledger(process)
    return {
        "ledger": ledger,
        "settings": asdict(overload) | {"seconds": seconds},
        "offered_spans": report["items"],
        "accepted_spans": report["accepted_items"],
        "delivered_during": during["items"],
        "delivered_spans": after["items"],
        "lost_spans": max(0, report["accepted_items"] - after["items"]),
        "duplicate_spans": max(0, after["items"] - report["accepted_items"]),
        "refused_requests": report["refused_requests"],
        "refused_retryable": report["refused_retryable"],
        "refused_permanent": report["refused_permanent"],
        "refused_with_delay": report["refused_with_delay"],
        "unsent_requests": report["unsent_requests"],
        "rss_bytes": {"min": low, "max": high, "peak": rss.peak()},
        "rss_series": [[round(at, 1), size] for at, size in rss.samples],
        "ack": report["latency"],
    }
