"""Untrace's REST API: traces as JSON, one or many per request, from applications without OpenTelemetry.

A request is acknowledged when every pipeline has accepted it. The same id gives the same span, so what is sent twice
can be recognised; with ``X-Idempotency-Key`` it is not taken twice. Costs some 130 µs per trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Intake, MetricKind, MetricSpec, ReceiverFactory, Settings, Stability
from untrace_pipeline.data import Signal
from untrace_plugins.receivers.untrace.config import UntraceReceiverConfig

if TYPE_CHECKING:
    from untrace_plugins.receivers.untrace.receiver import UntraceReceiver

__all__ = ["FACTORY"]


def _create(config: UntraceReceiverConfig, settings: Settings, next: Intake) -> UntraceReceiver:
    from untrace_plugins.receivers.untrace.receiver import UntraceReceiver  # noqa: PLC0415

    return UntraceReceiver(config, settings, next)


FACTORY = ReceiverFactory(
    type_name="untrace",
    config=UntraceReceiverConfig,
    description="takes traces as JSON: the REST API of Untrace",
    create=_create,
    signals=frozenset({Signal.TRACES}),
    stability=Stability.ALPHA,
    metrics=(
        MetricSpec(
            "receiver_rejected_traces",
            MetricKind.COUNTER,
            "Traces of a request that were not what they should be; the client was told which.",
            ("receiver",),
        ),
        MetricSpec(
            "receiver_replayed_requests",
            MetricKind.COUNTER,
            "Requests that had come before with the same idempotency key, and got the same answer.",
            ("receiver",),
        ),
    ),
)
