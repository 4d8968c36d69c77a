"""Sends to the best of several levels of pipelines that works, and returns to the first when it recovers.

A batch that a level refuses goes to the next level at once; it is accepted by exactly one, or refused. Costs a handle
per pipeline that is asked. Levels are tried with real batches only: no traffic of its own, nothing held back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from untrace_pipeline.api import (
    Aggregation,
    ConnectorFactory,
    Consumer,
    MetricKind,
    MetricSpec,
    PipelineId,
    Settings,
    Stability,
)
from untrace_plugins.connectors.failover.config import FailoverConfig

if TYPE_CHECKING:
    from untrace_plugins.connectors.failover.connector import FailoverConnector

__all__ = ["FACTORY"]


def _create(config: FailoverConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]) -> FailoverConnector:
    from untrace_plugins.connectors.failover.connector import FailoverConnector  # noqa: PLC0415  imported when created

    return FailoverConnector(config, settings, outputs)


FACTORY = ConnectorFactory(
    type_name="failover",
    config=FailoverConfig,
    create=_create,
    description="sends to the first of several levels of pipelines that accepts",
    stability=Stability.BETA,
    metrics=(
        MetricSpec(
            "connector_failover_level",
            MetricKind.GAUGE,
            "Priority level that gets the data now; 1 is the first.",
            ("connector", "signal"),
            aggregation=Aggregation.MAX,
        ),
        MetricSpec(
            "connector_failover_switches",
            MetricKind.COUNTER,
            "Changes of the level, by the one that took over: 1 is a return to the first.",
            ("connector", "signal", "level"),
        ),
    ),
)
