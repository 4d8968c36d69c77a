"""Webhooks: signed events of other services become spans or log records, by presets or by JSONPath.

An event is acknowledged when every pipeline has accepted it, and one that comes again within the window is not taken
twice. Costs some 30 µs per event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Intake, MetricKind, MetricSpec, ReceiverFactory, Settings, Stability
from untrace_pipeline.data import Signal
from untrace_plugins.receivers.webhook.config import WebhookReceiverConfig

if TYPE_CHECKING:
    from untrace_plugins.receivers.webhook.receiver import WebhookReceiver

__all__ = ["FACTORY"]


def _create(config: WebhookReceiverConfig, settings: Settings, next: Intake) -> WebhookReceiver:
    from untrace_plugins.receivers.webhook.receiver import WebhookReceiver  # noqa: PLC0415

    return WebhookReceiver(config, settings, next)


FACTORY = ReceiverFactory(
    type_name="webhook",
    config=WebhookReceiverConfig,
    description="takes signed events of other services: GitHub, Stripe, Slack, Standard Webhooks …",
    create=_create,
    signals=frozenset({Signal.TRACES, Signal.LOGS}),
    stability=Stability.ALPHA,
    metrics=(
        MetricSpec(
            "receiver_webhook_events",
            MetricKind.COUNTER,
            "Events of requests with a right signature, by outcome: taken, ignored (not among those of only), or "
            "repeated (requests that had come before).",
            ("receiver", "source", "outcome"),
        ),
        MetricSpec(
            "receiver_webhook_refusals",
            MetricKind.COUNTER,
            "Requests that were refused, by reason: signature, or content.",
            ("receiver", "source", "reason"),
        ),
    ),
)
