"""Joins pipelines: what comes in from any of them goes out to all that name it as a receiver, unchanged.

Accepted when every pipeline behind has accepted; costs a handle per pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from untrace_pipeline.api import ConnectorFactory, Consumer, PipelineId, Settings, Stability
from untrace_plugins.connectors.forward.config import ForwardConfig

if TYPE_CHECKING:
    from untrace_plugins.connectors.forward.connector import ForwardConnector

__all__ = ["FACTORY"]


def _create(config: ForwardConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]) -> ForwardConnector:
    from untrace_plugins.connectors.forward.connector import ForwardConnector  # noqa: PLC0415  imported when created

    return ForwardConnector(settings, outputs)


FACTORY = ConnectorFactory(
    type_name="forward",
    config=ForwardConfig,
    create=_create,
    description="passes everything on to other pipelines",
    stability=Stability.BETA,
)
