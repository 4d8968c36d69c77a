"""What is measured: configs, payloads, rates, and the bars of the design."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from benchmarks.loadtool import Protocol
from benchmarks.payload import PayloadSpec

CONFIGS = Path(__file__).parent / "scenarios"
DREAM = 0.35


@dataclass(frozen=True)
class Scenario:
    """One row of the table. `rate` is in requests per second, well under what either side can do."""

    name: str
    config: str
    protocol: Protocol
    payload: PayloadSpec
    rate: float
    concurrency: int = 64
    bar: float | None = None
    """Largest allowed ratio of our CPU time per span to the Collector's."""
    dream: float | None = DREAM
    compare_output: bool = True
    compression: str = "none"
    """Of what the load generator sends, and of what the config lets the daemon send (`COMPRESSION`)."""
    sinks: int = 1
    """How many backends the config names: `SINK_GRPC`, `SINK_2_GRPC`, …; each is to get everything."""
    native_egress_only: bool = False
    """Our Python clients cannot do this; they are left out with that reason."""
    unique: bool = False
    """Whether each request has new trace ids, so that every span is a trace of its own."""
    beside: str | None = None
    """Name of a scenario of the same run that differs in one thing: what that costs has a table of its own."""

    @property
    def config_text(self) -> str:
        """The YAML that both run."""
        return config_text(self.config)

    @property
    def env(self) -> dict[str, str]:
        """What the config needs to know besides ports and sinks."""
        return {"COMPRESSION": self.compression}


@cache
def config_text(name: str) -> str:
    """Answer a config of `scenarios/`."""
    return (CONFIGS / f"{name}.yaml").read_text()


def _pass_through(protocol: Protocol) -> list[Scenario]:
    bars = {100: 0.45, 10: 0.5, 1: 0.45}
    rates = {100: 300.0, 10: 1500.0, 1: 2000.0}
    # Our batch processor answers when the batch was accepted: full batches of 1-span requests need many in flight.
    in_flight = {100: 64, 10: 512, 1: 2048}
    small = [
        Scenario(
            f"pass-through {protocol}, {size}/request",
            "pass_through",
            protocol,
            PayloadSpec(size),
            rates[size],
            in_flight[size],
            bars[size],
        )
        for size in (100, 10, 1)
    ]
    large = PayloadSpec(1, span_bytes=100_000, total_spans=50)
    return [
        *small,
        Scenario(f"pass-through {protocol}, 100 KB spans", "pass_through_large", protocol, large, 500.0, 128, 0.5),
    ]


def _compressed(protocol: Protocol, compression: str) -> Scenario:
    return Scenario(
        f"{compression} in and out, {protocol}, 100/request",
        "pass_through_compressed" if protocol == "grpc" else "pass_through_http_compressed",
        protocol,
        PayloadSpec(100),
        100.0,
        bar=0.7,
        compression=compression,
        native_egress_only=(protocol, compression) == ("grpc", "zstd"),
    )


def _queues() -> list[Scenario]:
    """Return pairs: what a queue on disk costs is seen beside the same queue in memory."""
    rates = {100: 50.0, 10: 100.0, 1: 150.0}
    found = []
    for size, in_flight in ((100, 64), (10, 256), (1, 512)):
        memory, disk = (f"queue {where}, {size}/request" for where in ("in memory", "on disk"))
        without = Scenario(memory, "queue_memory", "grpc", PayloadSpec(size), rates[size], in_flight)
        found += [without, replace(without, name=disk, config="queue_disk", bar=1.0, beside=memory)]
    return found


def _redaction(percent: int, bar: float | None, dream: float | None) -> Scenario:
    payload = PayloadSpec(100, pii_percent=percent)
    return Scenario(f"redaction, {percent} % hit", "redaction", "grpc", payload, 20.0, bar=bar, dream=dream)


SCENARIOS = (
    *_pass_through("grpc"),
    *_pass_through("http"),
    *(_compressed(protocol, compression) for compression in ("gzip", "zstd") for protocol in ("grpc", "http")),
    Scenario("fan-out of three, 100/request", "fan_out", "grpc", PayloadSpec(100), 150.0, bar=0.5, sinks=3),
    *_queues(),
    _redaction(0, None, None),
    _redaction(5, 1 / 40, None),
    _redaction(100, 1 / 10, None),
    Scenario("sampling 10 %", "sampling", "grpc", PayloadSpec(100), 200.0, bar=0.5),
    Scenario(
        "tail sampling",
        "tail_sampling",
        "grpc",
        PayloadSpec(100),
        100.0,
        bar=0.8,
        dream=0.5,
        compare_output=False,  # tests/integration/collector compares decisions
        unique=True,
    ),
    Scenario("filter + 5 edits", "filter_edit", "grpc", PayloadSpec(100), 150.0, bar=0.7),
    Scenario("filter + 5 statements of OTTL", "filter_transform", "grpc", PayloadSpec(100), 150.0, bar=0.8),
)

IDLE_RSS_BAR_BYTES, IDLE_RSS_DREAM_BYTES = 80_000_000, 50_000_000
READY_BAR_SECONDS, READY_DREAM_SECONDS = 0.8, 0.4


@dataclass(frozen=True)
class Overload:
    """A slow destination: `offered` is ten times what it takes, in spans per second."""

    name: str
    config: str
    capacity: float = 2000.0
    offered: float = 20_000.0
    spans_per_request: int = 10
    rss_bar_spread: float = 0.1
    """Largest allowed (max - min) / max of the resident memory after the warm-up."""


OVERLOADS = (Overload("overload", "overload"), Overload("overload, queue on disk", "overload_disk"))
