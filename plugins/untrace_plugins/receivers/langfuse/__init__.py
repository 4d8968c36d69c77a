"""Langfuse's own API: an application with its SDK changes ``LANGFUSE_HOST``, and its observations become spans.

SDKs of today send OTLP, which goes on at once. Older ones send events: what an observation began with, how it ended,
and at the end what the whole trace was about. A trace is held until it is quiet, in memory, and goes on as spans in the
``langfuse`` dialect. About 50 µs per event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Intake, MetricKind, MetricSpec, ReceiverFactory, Settings, Stability
from untrace_pipeline.data import Signal
from untrace_plugins.receivers.langfuse.config import LangfuseReceiverConfig
from untrace_plugins.runs.meters import HOLDING_METRICS

if TYPE_CHECKING:
    from untrace_plugins.receivers.langfuse.receiver import LangfuseReceiver

__all__ = ["FACTORY"]


def _create(config: LangfuseReceiverConfig, settings: Settings, next: Intake) -> LangfuseReceiver:
    from untrace_plugins.receivers.langfuse.receiver import LangfuseReceiver  # noqa: PLC0415  loads OTLP's messages

    return LangfuseReceiver(config, settings, next)


FACTORY = ReceiverFactory(
    type_name="langfuse",
    config=LangfuseReceiverConfig,
    description="takes events and OTLP from Langfuse's SDKs, on Langfuse's paths",
    create=_create,
    signals=frozenset({Signal.TRACES, Signal.LOGS}),
    once=True,
    stability=Stability.ALPHA,
    metrics=(
        *HOLDING_METRICS,
        MetricSpec(
            "receiver_langfuse_discarded_media",
            MetricKind.COUNTER,
            "Images and other media whose content was not taken: there is no place for it.",
            ("receiver",),
        ),
        MetricSpec(
            "receiver_langfuse_invalid_events",
            MetricKind.COUNTER,
            "Events and scores that were refused because they make no sense; the client was told.",
            ("receiver",),
        ),
    ),
)
