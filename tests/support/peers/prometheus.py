"""The real Prometheus and its promtool, built from the Go module pinned in `prometheus/go.mod`."""

from __future__ import annotations

from pathlib import Path

from tests.support.peers.cache import build_go_programs

__all__ = ["PROMETHEUS_RECIPE", "prometheus_binaries"]

PROMETHEUS_RECIPE = Path(__file__).parent / "prometheus"
PROMETHEUS_OVERRIDE = "UNTRACE_PEER_PROMETHEUS"
PACKAGES = ("github.com/prometheus/prometheus/cmd/prometheus", "github.com/prometheus/prometheus/cmd/promtool")
WITHOUT_DISCOVERY = "remove_all_sd"
"""Leaves out the clients of all clouds, which take most of the time to build."""


def prometheus_binaries(*, build: bool = True) -> Path:
    """Answer the directory with `prometheus` and `promtool`; `UNTRACE_PEER_PROMETHEUS` names another one.

    Raises `PeerUnavailable` with the reason; with `build=False` also when they are not built yet.
    """
    return build_go_programs(
        "prometheus", PROMETHEUS_RECIPE, PACKAGES, PROMETHEUS_OVERRIDE, tags=WITHOUT_DISCOVERY, build=build
    )
