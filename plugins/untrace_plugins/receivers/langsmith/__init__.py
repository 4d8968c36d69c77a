"""LangSmith's own API: an application with its SDK changes ``LANGSMITH_ENDPOINT``, and its runs become spans.

What begins a run and what ends it come apart in time; a run is held until it has both, or long enough, and goes on as
one span in the ``langsmith`` dialect. What completes a run is acknowledged when the pipelines have accepted its span;
what begins one when it is held, in memory. About 0.2 ms per run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Intake, MetricKind, MetricSpec, ReceiverFactory, Settings, Stability
from untrace_pipeline.data import Signal
from untrace_plugins.receivers.langsmith.config import LangsmithReceiverConfig
from untrace_plugins.runs.meters import HOLDING_METRICS

if TYPE_CHECKING:
    from untrace_plugins.receivers.langsmith.receiver import LangsmithReceiver

__all__ = ["FACTORY"]


def _create(config: LangsmithReceiverConfig, settings: Settings, next: Intake) -> LangsmithReceiver:
    from untrace_plugins.receivers.langsmith.receiver import LangsmithReceiver  # noqa: PLC0415  loads OTLP's messages

    return LangsmithReceiver(config, settings, next)


FACTORY = ReceiverFactory(
    type_name="langsmith",
    config=LangsmithReceiverConfig,
    description="takes runs from LangSmith's SDKs, and OTLP on LangSmith's path",
    create=_create,
    signals=frozenset({Signal.TRACES, Signal.LOGS}),
    once=True,
    stability=Stability.ALPHA,
    metrics=(
        *HOLDING_METRICS,
        MetricSpec(
            "receiver_langsmith_discarded_attachments",
            MetricKind.COUNTER,
            "Attachments whose content was left out because it is larger than max_attachment_size.",
            ("receiver",),
        ),
        MetricSpec(
            "receiver_langsmith_invalid_parts",
            MetricKind.COUNTER,
            "Runs, fields and attachments that were refused because they make no sense; the client was told.",
            ("receiver",),
        ),
    ),
)
