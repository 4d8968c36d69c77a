"""All places, by the names of their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from tests.support.destinations.platforms import PLATFORMS
from tests.support.proofs.place import Place
from tests.support.proofs.places.contract import ContractLogPlace, ContractMetricPlace, ContractPlace
from tests.support.proofs.places.databases import ClickHousePlace, OpenSearchPlace
from tests.support.proofs.places.kafka import KafkaPlace
from tests.support.proofs.places.llm import MlFlowPlace, PhoenixPlace
from tests.support.proofs.places.loki import LokiPlace, LokiPushPlace
from tests.support.proofs.places.otlp import (
    COLLECTOR_EXPORTERS,
    CollectorPlace,
    DatadogAgentPlace,
    JaegerPlace,
    LlmObservabilityPlace,
)
from tests.support.proofs.places.prometheus import RemoteWritePlace, ScrapingPlace
from tests.support.proofs.places.stores import BucketPlace, DirectoryPlace, FilePlace, KinesisPlace
from tests.support.proofs.places.webhook import WebhookPlace
from untrace_pipeline.data import Signal

__all__ = ["PLACES", "REAL"]

REAL: Mapping[str, Callable[[], Place]] = {
    "clickhouse": ClickHousePlace,
    "datadog_agent": DatadogAgentPlace,
    "datadog_agent_llm_observability": LlmObservabilityPlace,
    "file": FilePlace,
    "jaeger": JaegerPlace,
    "kafka": KafkaPlace,
    "kinesis": KinesisPlace,
    "loki": LokiPlace,
    "loki_push": LokiPushPlace,
    "mlflow": MlFlowPlace,
    "object_store (azure)": partial(BucketPlace, "azure"),
    "object_store (directory)": DirectoryPlace,
    "object_store (gcs)": partial(BucketPlace, "gcs"),
    "object_store (s3)": partial(BucketPlace, "s3"),
    "opensearch": OpenSearchPlace,
    "phoenix": PhoenixPlace,
    "prometheus": ScrapingPlace,
    "prometheus_remote_write": RemoteWritePlace,
    "webhook": WebhookPlace,
    **{name: partial(CollectorPlace, name) for name in COLLECTOR_EXPORTERS},
}
"""What runs here, once it is built."""

_FORMS: Mapping[Signal, Callable[[str], Place]] = {
    Signal.TRACES: ContractPlace,
    Signal.LOGS: ContractLogPlace,
    Signal.METRICS: ContractMetricPlace,
}
_CONTRACTS = {
    name: partial(next(form for signal, form in _FORMS.items() if signal in platform.rules.paths.values()), name)
    for name, platform in PLATFORMS.items()
    if name not in REAL
}
PLACES: Mapping[str, Callable[[], Place]] = {**REAL, **_CONTRACTS}
"""Those that run here first."""
