"""Exporter ``webhook``: sends events to any URL, signed as Standard Webhooks says.

Spans go as core traces, CloudEvents, OTLP/JSON, or in a shape of your own; log records, too. An event keeps its id over
all attempts. URLs lead to public addresses only, unless the options allow more. Costs some 110 µs per span.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, MetricKind, MetricSpec, Settings, Stability
from untrace_plugins.exporters.webhook.config import WebhookConfig

__all__ = ["FACTORY"]


def _create(config: WebhookConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.webhook.exporter import WebhookExporter  # noqa: PLC0415

    return WebhookExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="webhook",
    config=WebhookConfig,
    description="sends events to any URL, signed as Standard Webhooks says",
    stability=Stability.ALPHA,
    about=About(
        title="Webhook",
        category="protocols",
        docs="https://www.standardwebhooks.com",
        minimal={"endpoint": "https://example.com/hooks/llm"},
        options=("endpoint", "method", "form", "template", "one_per_item", "event_type", "secrets", "allow_private"),
        facts=(
            ("What is sent", "a core trace per span, a log record, CloudEvents, OTLP/JSON, or what a template makes"),
            ("Sent again", "with the same id, so that the other side can tell repetitions"),
            ("Where it may lead", "to public addresses only, unless allow_private is true"),
        ),
        notes=("410 Gone pauses everything for `gone_pause`; what comes meanwhile is given up.",),
    ),
    create=_create,
    metrics=(
        MetricSpec(
            "exporter_webhook_gone",
            MetricKind.GAUGE,
            "1 while nothing is sent because the destination said 410 Gone.",
            ("exporter",),
        ),
    ),
)
