"""What is measured: configs, payloads, rates, and the bars of the design."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.loadtool import Protocol
from benchmarks.payload import PayloadSpec

CONFIGS = Path(__file__).parent / "scenarios"


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
    dream: float | None = None
    compare_output: bool = True

    @property
    def config_text(self) -> str:
        """The YAML that both run."""
        return config_text(self.config)


@cache
def config_text(name: str) -> str:
    """Answer a config of `scenarios/`."""
    return (CONFIGS / f"{name}.yaml").read_text()


def _pass_through(protocol: Protocol, bars: dict[int, float]) -> list[Scenario]:
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
            0.4,
        )
        for size in (100, 10, 1)
    ]
    large = PayloadSpec(1, span_bytes=100_000, total_spans=50)
    return [
        *small,
        Scenario(f"pass-through {protocol}, 100 KB spans", "pass_through_large", protocol, large, 500.0, 128),
    ]


SCENARIOS = (
    *_pass_through("grpc", {100: 0.8, 10: 1.7, 1: 4.0}),
    *_pass_through("http", {100: 0.8, 10: 1.0, 1: 1.0}),
    Scenario("pass-through grpc, 100/request, gzip out", "pass_through_gzip", "grpc", PayloadSpec(100), 100.0),
    Scenario("redaction, 0 % hit", "redaction", "grpc", PayloadSpec(100, pii_percent=0), 20.0),
    Scenario("redaction, 5 % hit", "redaction", "grpc", PayloadSpec(100), 20.0, bar=1 / 20, dream=1 / 40),
    Scenario(
        "redaction, 100 % hit", "redaction", "grpc", PayloadSpec(100, pii_percent=100), 20.0, bar=1 / 4, dream=0.1
    ),
    Scenario("sampling 10 %", "sampling", "grpc", PayloadSpec(100), 200.0),
    Scenario("filter + 5 edits", "filter_edit", "grpc", PayloadSpec(100), 150.0, bar=2.2, dream=1.5),
)

IDLE_RSS_BAR_BYTES, IDLE_RSS_DREAM_BYTES = 80_000_000, 50_000_000
READY_BAR_SECONDS, READY_DREAM_SECONDS = 0.8, 0.4


@dataclass(frozen=True)
class Overload:
    """A slow destination: `offered` is ten times what it takes, in spans per second."""

    capacity: float = 2000.0
    offered: float = 20_000.0
    spans_per_request: int = 10
    rss_bar_spread: float = 0.1
    """Largest allowed (max - min) / max of the resident memory after the warm-up."""
