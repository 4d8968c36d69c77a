"""All places, by the names of their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from tests.support.destinations.platforms import PLATFORMS
from tests.support.proofs.place import Place
from tests.support.proofs.places.contract import ContractPlace
from tests.support.proofs.places.databases import ClickHousePlace, OpenSearchPlace
from tests.support.proofs.places.llm import MlFlowPlace, PhoenixPlace
from tests.support.proofs.places.otlp import (
    COLLECTOR_EXPORTERS,
    CollectorPlace,
    DatadogAgentPlace,
    JaegerPlace,
    LlmObservabilityPlace,
)
from tests.support.proofs.places.stores import BucketPlace, DirectoryPlace, FilePlace, KinesisPlace
from untrace_pipeline.data import Signal

__all__ = ["PLACES"]

_REAL: Mapping[str, Callable[[], Place]] = {
    "clickhouse": ClickHousePlace,
    "datadog_agent": DatadogAgentPlace,
    "datadog_agent_llm_observability": LlmObservabilityPlace,
    "file": FilePlace,
    "jaeger": JaegerPlace,
    "kinesis": KinesisPlace,
    "mlflow": MlFlowPlace,
    "object_store (azure)": partial(BucketPlace, "azure"),
    "object_store (directory)": DirectoryPlace,
    "object_store (gcs)": partial(BucketPlace, "gcs"),
    "object_store (s3)": partial(BucketPlace, "s3"),
    "opensearch": OpenSearchPlace,
    "phoenix": PhoenixPlace,
    **{name: partial(CollectorPlace, name) for name in COLLECTOR_EXPORTERS},
}
_CONTRACTS = {
    name: partial(ContractPlace, name)
    for name, platform in PLATFORMS.items()
    if name not in _REAL and Signal.TRACES in platform.rules.paths.values()
}
PLACES: Mapping[str, Callable[[], Place]] = {**_REAL, **_CONTRACTS}
"""Those that run here first."""
