"""Whatever valid requests come: nothing raises, every span counts once, and pages can be read."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.support.metric_bench import Bench
from tests.support.otlp_strategies import requests
from tests.support.prometheus_text import canonical_page
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_plugins.connectors.llm_metrics import FACTORY as LLM
from untrace_plugins.connectors.span_metrics import FACTORY as SPANS
from untrace_plugins.exporters.prometheus.config import PrometheusConfig
from untrace_plugins.exporters.prometheus.negotiation import Escaping, Form, Wish
from untrace_plugins.exporters.prometheus.protobuf import render_protobuf
from untrace_plugins.exporters.prometheus.store import Store
from untrace_plugins.exporters.prometheus.text import render_text

OPTIONS: dict[str, Any] = {
    "dimensions": [{"name": "a", "default": "none"}, {"glob": "[b-z]*"}],
    "events": {"enabled": True, "dimensions": [{"name": "a"}]},
    "exemplars": {"enabled": True},
    "histogram": {"exponential": {"max_size": 8}},
    "include_instrumentation_scope": ["x"],
    "aggregation_cardinality_limit": 3,
}


@settings(max_examples=40)
@given(st.lists(requests(Signal.TRACES), min_size=1, max_size=3))
def test_every_span_counts_once(messages: list[Any]) -> None:
    """Calls and durations are as many as there are spans of a service, in series of their own or in the overflow."""

    async def main() -> None:
        bench, llm = Bench(SPANS, **OPTIONS), Bench(LLM)
        for one in (bench, llm):
            await one.connector.start(one.host)
        expected = 0
        for message in messages:
            batch = Batch(Signal.TRACES, message.SerializeToString())
            services = batch.column(Field(Level.RESOURCE, "attributes"))
            owners = batch.parents(Level.ITEM, Level.RESOURCE)
            expected += sum("service.name" in services[owner] for owner in owners)  # type: ignore[operator]
            for one in (bench, llm):
                await one.connector.consume(batch.copy())
        for one in (bench, llm):
            await one.connector.shutdown()
        points = bench.points()
        calls = [point for point in points if point.metric.endswith("calls")]
        durations = [point for point in points if point.metric.endswith("duration")]
        assert sum(point.value for point in calls) == expected
        assert sum(point.data.count for point in durations) == expected
        for point in durations:
            buckets = point.data.positive.bucket_counts
            assert sum(buckets) + point.data.zero_count == point.data.count
            assert len(buckets) <= 8

    asyncio.run(main())


FORMS = [Wish(form, escaping) for form in (Form.TEXT, Form.OPENMETRICS) for escaping in Escaping]


@settings(max_examples=40)
@given(
    st.lists(requests(Signal.METRICS), min_size=1, max_size=3),
    st.sampled_from(FORMS),
    st.sampled_from(["UnderscoreEscapingWithSuffixes", "NoTranslation"]),
)
def test_pages_can_be_read(messages: list[Any], wish: Wish, strategy: str) -> None:
    """Text is what Prometheus' own parser reads, protobuf is what its messages hold, and series are there once."""
    options = {"endpoint": "localhost:0", "translation_strategy": strategy, "const_labels": {"zone": "eu"}}
    store = Store(PrometheusConfig.model_validate(options))
    for message in messages:
        store.take(message.SerializeToString(), 0.0)
    families = store.families(0.0)
    text = render_text(families, wish, timestamps=True)
    assert len(canonical_page(text, "text")) == text.count(b"\n")
    canonical_page(render_protobuf(families, wish.escaping, timestamps=True), "protobuf")
    if strategy == "UnderscoreEscapingWithSuffixes" and wish.form is Form.TEXT:
        samples = [s for family in text_string_to_metric_families(text.decode()) for s in family.samples]
        keys = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples]
        assert len(set(keys)) == len(keys)
