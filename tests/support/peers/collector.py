"""The real OpenTelemetry Collector, built from the Go modules pinned in `collector/go.mod`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.support.peers.cache import build_go_program
from tests.support.peers.process import ConfiguredProcess

COLLECTOR_RECIPE = Path(__file__).parent / "collector"
COLLECTOR_OVERRIDE = "UNTRACE_PEER_COLLECTOR"


def collector_binary(*, build: bool = True) -> Path:
    """Answer the Collector's binary, built if need be; `UNTRACE_PEER_COLLECTOR` names another one.

    Raises `PeerUnavailable` with the reason. The first build takes minutes, so tests pass `build=False` and skip.
    """
    return build_go_program("collector", COLLECTOR_RECIPE, COLLECTOR_OVERRIDE, build=build)


PROMETHEUS_COLLECTOR_RECIPE = Path(__file__).parent / "prometheus_collector"
PROMETHEUS_COLLECTOR_OVERRIDE = "UNTRACE_PEER_PROMETHEUS_COLLECTOR"


def prometheus_collector_binary(*, build: bool = True) -> Path:
    """Answer the binary of a Collector that scrapes; `UNTRACE_PEER_PROMETHEUS_COLLECTOR` names another one.

    It is a program of its own, because what it brings of Prometheus would double the time to build the other.
    """
    return build_go_program(
        "prometheus-collector",
        PROMETHEUS_COLLECTOR_RECIPE,
        PROMETHEUS_COLLECTOR_OVERRIDE,
        tags="remove_all_sd",
        build=build,
    )


class Collector(ConfiguredProcess):
    """A running Collector: `with Collector(config) as peer: peer.endpoint("GRPC_PORT")`."""

    name = "collector"

    def command(self, config: Path) -> Sequence[str]:
        """Run the cached binary."""
        return [str(collector_binary()), "--config", str(config)]


class PrometheusCollector(ConfiguredProcess):
    """A running Collector that scrapes."""

    name = "prometheus-collector"

    def command(self, config: Path) -> Sequence[str]:
        """Run the cached binary."""
        return [str(prometheus_collector_binary(build=False)), "--config", str(config)]
