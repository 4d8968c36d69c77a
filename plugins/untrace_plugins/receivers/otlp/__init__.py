"""OTLP over gRPC and HTTP: how applications and Collectors send traces, metrics and logs.

A request is acknowledged when every pipeline has accepted it, and not before. What would be refused anyway is refused
before its body is read. Each request is decoded once to check it, about 1.5 µs per span: what is valid cannot spoil
what it is merged with later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Intake, ReceiverFactory, Settings, Stability
from untrace_plugins.receivers.otlp.config import OtlpReceiverConfig

if TYPE_CHECKING:
    from untrace_plugins.receivers.otlp.receiver import OtlpReceiver

__all__ = ["FACTORY"]


def _create(config: OtlpReceiverConfig, settings: Settings, next: Intake) -> OtlpReceiver:
    from untrace_plugins.receivers.otlp.receiver import OtlpReceiver  # noqa: PLC0415  loads gRPC

    return OtlpReceiver(config, settings, next)


FACTORY = ReceiverFactory(
    type_name="otlp",
    config=OtlpReceiverConfig,
    description="takes OTLP over gRPC and HTTP from SDKs and Collectors",
    create=_create,
    stability=Stability.BETA,
)
