"""OTLP JSON files: reads what file exporters wrote, one request per line, and follows files that grow.

A line counts as read when every pipeline has accepted it; until then it is offered again. Lines that are no OTLP are
counted, logged with their place, and skipped. Positions are kept in memory: after a restart ``start_at`` decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Intake, MetricKind, MetricSpec, ReceiverFactory, Settings, Stability
from untrace_plugins.receivers.otlp_json_file.config import OtlpJsonFileConfig

if TYPE_CHECKING:
    from untrace_plugins.receivers.otlp_json_file.receiver import OtlpJsonFileReceiver

__all__ = ["FACTORY"]


def _create(config: OtlpJsonFileConfig, settings: Settings, next: Intake) -> OtlpJsonFileReceiver:
    from untrace_plugins.receivers.otlp_json_file.receiver import OtlpJsonFileReceiver  # noqa: PLC0415

    return OtlpJsonFileReceiver(config, settings, next)


FACTORY = ReceiverFactory(
    type_name="otlp_json_file",
    aliases=("otlpjsonfile",),
    config=OtlpJsonFileConfig,
    description="reads OTLP JSON files, one request per line, as they grow",
    create=_create,
    once=True,
    stability=Stability.BETA,
    metrics=(
        MetricSpec(
            "receiver_skipped_lines",
            MetricKind.COUNTER,
            "Lines of files that were skipped; reason: malformed, too_long, refused, no_pipeline.",
            ("receiver", "reason"),
        ),
    ),
)
