"""Sends data to pipelines by conditions: the Collector's ``table`` of routes, or rules over LLM calls.

Conditions on the request alone (``request["X-Tenant"]``) decide without decoding; a request whose items all go the same
way is passed on as it is. Items that no route takes are counted as ``dropped_items{reason="no_route"}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from untrace_pipeline.api import ConnectorFactory, Consumer, MetricKind, MetricSpec, PipelineId, Settings, Stability
from untrace_plugins.connectors.routing.config import RoutingConfig

if TYPE_CHECKING:
    from untrace_plugins.connectors.routing.connector import RoutingConnector
    from untrace_plugins.connectors.routing.rule_connector import RuleConnector

__all__ = ["FACTORY"]


def _create(
    config: RoutingConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]
) -> RoutingConnector | RuleConnector:
    if not config.table:
        from untrace_plugins.connectors.routing.rule_connector import RuleConnector  # noqa: PLC0415  when created

        return RuleConnector(config, settings, outputs)
    from untrace_plugins.connectors.routing.connector import RoutingConnector  # noqa: PLC0415  imported when created

    return RoutingConnector(config, settings, outputs)


FACTORY = ConnectorFactory(
    type_name="routing",
    config=RoutingConfig,
    create=_create,
    description="sends items to pipelines by conditions",
    stability=Stability.BETA,
    metrics=(
        MetricSpec(
            "connector_routing_fallback_items",
            MetricKind.COUNTER,
            "Items that fallback pipelines took, because a pipeline of their route refused them.",
            ("connector", "signal"),
        ),
        MetricSpec(
            "connector_routing_rule_items",
            MetricKind.COUNTER,
            "Items by the rule that took them; default: no rule did.",
            ("connector", "signal", "rule"),
        ),
        MetricSpec(
            "connector_routing_rules_reloads",
            MetricKind.COUNTER,
            "Changes of the rules file; outcome: success, or failure, after which the old rules stay.",
            ("connector", "outcome"),
        ),
    ),
)
