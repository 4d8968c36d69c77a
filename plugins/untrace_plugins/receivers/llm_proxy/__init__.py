"""A proxy for LLM APIs: applications that set its address as ``base_url`` are traced, and nothing else changes.

What goes through is passed on byte by byte as it comes, and copied up to a bound; spans are made of the copies after
the last byte. The pipelines never delay a call and never make it fail: a span that cannot be taken is counted as lost.
Costs about 0.2 ms of CPU per call, its span included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Aggregation, Intake, MetricKind, MetricSpec, ReceiverFactory, Settings, Stability
from untrace_pipeline.data import Signal
from untrace_plugins.receivers.llm_proxy.config import LlmProxyConfig

if TYPE_CHECKING:
    from untrace_plugins.receivers.llm_proxy.receiver import LlmProxyReceiver

__all__ = ["FACTORY"]

COUNTER, GAUGE = MetricKind.COUNTER, MetricKind.GAUGE
SECONDS = (0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


def _create(config: LlmProxyConfig, settings: Settings, next: Intake) -> LlmProxyReceiver:
    from untrace_plugins.receivers.llm_proxy.receiver import LlmProxyReceiver  # noqa: PLC0415

    return LlmProxyReceiver(config, settings, next)


FACTORY = ReceiverFactory(
    type_name="llm_proxy",
    config=LlmProxyConfig,
    description="a proxy for LLM APIs that makes a span of each call",
    create=_create,
    signals=frozenset({Signal.TRACES}),
    stability=Stability.BETA,
    metrics=(
        MetricSpec(
            "llm_proxy_calls",
            COUNTER,
            "Calls that have ended, by the upstream that was asked last; outcome: success, client_error (4xx), "
            "server_error (5xx), refused (by the proxy, before an upstream was asked; no span), or what went wrong: "
            "timeout, connect_error, upstream_reset, invalid_response, client_disconnect, circuit_open, cancelled, "
            "internal_error.",
            ("receiver", "upstream", "outcome"),
        ),
        MetricSpec(
            "llm_proxy_attempts",
            COUNTER,
            "Requests to upstreams, by how their head came; outcome as for calls.",
            ("receiver", "upstream", "outcome"),
        ),
        MetricSpec(
            "llm_proxy_overhead_seconds",
            MetricKind.HISTOGRAM,
            "Seconds that the proxy itself took until the head of an answer went out, without the time of upstreams "
            "and without that of the client for its body.",
            ("receiver",),
            SECONDS,
        ),
        MetricSpec("llm_proxy_in_flight", GAUGE, "Calls under way.", ("receiver",)),
        MetricSpec(
            "llm_proxy_circuit_state",
            GAUGE,
            "State of the circuit of an upstream: 0 closed, 1 half-open, 2 open.",
            ("receiver", "upstream"),
            aggregation=Aggregation.MAX,
        ),
        MetricSpec("llm_proxy_capture_queue_size", GAUGE, "Calls that wait to become spans.", ("receiver",)),
        MetricSpec("llm_proxy_capture_queue_bytes", GAUGE, "Bytes of their bodies.", ("receiver",)),
        MetricSpec("llm_proxy_capture_queue_capacity", GAUGE, "Calls that may wait (max_calls).", ("receiver",)),
        MetricSpec(
            "llm_proxy_lost_spans",
            COUNTER,
            "Calls without a span; reason: queue_full, refused (by the pipelines), unreadable (a fault of ours, see "
            "the log), shutdown.",
            ("receiver", "reason"),
        ),
    ),
)
