"""Platforms that cannot run here: servers that go by the rules of their makers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.destinations.fields import READS
from tests.support.destinations.platforms import PLATFORMS
from tests.support.destinations.server import ContractServer
from tests.support.llm_calls import SpanView
from tests.support.proofs.logs import stored_logs
from tests.support.proofs.place import (
    AS_IS,
    TOTALS,
    LogPlace,
    MetricPlace,
    Place,
    SpanPlace,
    Stored,
    StoredLog,
    stored,
)
from untrace_pipeline.data import Batch
from untrace_plugins.genai import names

__all__ = ["ContractLogPlace", "ContractMetricPlace", "ContractPlace"]

T = TypeVar("T")


class _Contract(Place):
    """A platform of `tests.support.destinations`; its server has an event loop and a thread of its own."""

    def __init__(self, platform: str) -> None:
        self.name = platform
        self.platform = PLATFORMS[platform]
        self.exports = f"^({'|'.join(self.platform.rules.paths)})$"
        self.server = ContractServer(self.platform.rules)

    @property
    def peer(self) -> str:
        return "contract"

    @property
    def url(self) -> str:
        return self.server.url

    def options(self, url: str) -> dict[str, Any]:
        return {**self.platform.options, "endpoint": url + self.platform.base}

    def received(self) -> list[Batch]:
        """Return the requests that the server took."""
        return [one.batch for one in list(self.server.received) if one.batch.signal is self.signal]

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._run(self.server.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self.server.__aexit__(kind, error, trace))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


class ContractPlace(_Contract, SpanPlace):
    """One that takes traces."""

    def __init__(self, platform: str) -> None:
        super().__init__(platform)
        self.reads = READS.get(platform, AS_IS)

        self.splits = not self.platform.one_by_one

    def read(self) -> list[Stored]:
        failed = 1 if self.name == "untrace" else 2  # its SDKs have other numbers for the status
        return [span for batch in self.received() for span in stored(batch, failed)]

    def takes(self, span: SpanView) -> bool:
        if self.platform.wants is not None:
            return self.platform.wants(span.attributes)
        ignored = self.platform.rules.ignored
        return ignored is None or names.DIALECT in span.attributes or not ignored(span.attributes)


class ContractLogPlace(_Contract, LogPlace):
    """One that takes log records alone."""

    def read(self) -> list[StoredLog]:
        return [log for batch in self.received() for log in stored_logs(batch)]


class ContractMetricPlace(_Contract, MetricPlace):
    """One that takes metrics alone."""

    def read(self) -> Mapping[str, float]:
        series: dict[tuple[str, str], float] = {}
        for batch in self.received():
            series |= _sums(batch)
        return {total: sum(value for (name, _), value in series.items() if name == total) for total in TOTALS}


def _sums(batch: Batch) -> dict[tuple[str, str], float]:
    """Return the values of the sums that tell a total, by it and by what tells the series."""
    request = ExportMetricsServiceRequest.FromString(batch.to_otlp())
    found: dict[tuple[str, str], float] = {}
    for group in request.resource_metrics:
        for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
            for point in metric.sum.data_points:
                attributes = {one.key: one.value.string_value for one in point.attributes}
                total = attributes.get("gen_ai.token.type") or metric.name.removeprefix("llm.")
                found[total, f"{group.resource}{sorted(attributes.items())}"] = point.as_double or point.as_int
    return found
