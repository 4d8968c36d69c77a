"""The exporter ``opensearch`` against a real node: what is stored, once, and what it refuses."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.support.exporters import QUICK_RETRY, Running, running
from tests.support.peers import OpenSearch
from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.opensearch import FACTORY

pytestmark = [pytest.mark.once, pytest.mark.peer, pytest.mark.timeout(240), pytest.mark.xdist_group("opensearch")]

LONG = "word " * 10_000
"""Longer than any keyword may be."""


def storing(server: OpenSearch, test: str, **options: Any) -> AbstractAsyncContextManager[Running]:
    """Run an exporter with indices and templates of its own."""
    indices = {f"{signal}_index": f"{test}-{signal}" for signal in Signal}
    template = {"install": True, "name": test, "number_of_replicas": 0}
    given = {"endpoint": server.url, "index_template": template, "retry_on_failure": QUICK_RETRY, **indices, **options}
    return running(FACTORY, given)


def ids_of(batch: Batch) -> set[str]:
    trace, span = batch.columns([Field(Level.ITEM, "trace_id"), Field(Level.ITEM, "span_id")])
    return {f"{a.hex()}:{b.hex()}" for a, b in zip(trace, span, strict=True)}  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ["otel", "flat"])
async def test_all_signals_are_stored_once_and_read_back(opensearch: OpenSearch, mode: str) -> None:
    """Sent twice, long texts and all: each document is there once, in its data stream, and found by its words."""
    more = {"gen_ai.output.messages": LONG}
    own = {"data_stream.namespace": mode}
    template = {
        "install": True,
        "name": f"all-{mode}",
        "number_of_replicas": 0,
        "priority": {"otel": 300, "flat": 299}[mode],
    }
    options = {"endpoint": opensearch.url, "mapping": {"mode": mode}, "index_template": template}
    async with running(FACTORY, options) as r:
        for _ in range(2):
            for signal in Signal:
                await r.consume(make_batch(signal, 60, attributes=more, resource=own))
            await r.until_idle(60)
        assert r.dropped == {}
        assert [r.meter.value(f"exporter_sent_{signal.item}") for signal in Signal] == [120, 120, 120]
    dataset = "generic.otel" if mode == "otel" else "generic"
    spans = opensearch.documents(f"traces-{dataset}-{mode}")
    assert {one["_id"] for one in spans} == ids_of(make_batch(items=60))
    assert all(one["_index"].startswith(f".ds-traces-{dataset}-{mode}-") for one in spans)
    events = 60 if mode == "otel" else 0
    assert len(opensearch.documents(f"logs-{dataset}-{mode}")) == 60 + events
    assert len(opensearch.documents(f"metrics-{dataset}-{mode}")) == 60
    field = "attributes.gen_ai.output.messages" if mode == "otel" else "texts.text"
    found = opensearch.ask("POST", f"/traces-{dataset}-{mode}/_search", {"query": {"match": {field: "word"}}})
    assert found["hits"]["total"]["value"] == 60


async def test_names_below_other_names_are_stored(opensearch: OpenSearch) -> None:
    """Real libraries write ``metadata`` and ``metadata.user``: unless told otherwise, no such span is refused."""
    async with storing(opensearch, "below") as r:
        batch = make_batch(items=2)
        batch.set(attribute("metadata"), ["text", "text"])
        batch.set(attribute("metadata.user"), ["ann", None])
        await r.consume(batch)
        await r.until_idle(60)
        assert r.meter.value("exporter_sent_spans") == 2
    opensearch.ask("POST", "/below-traces/_refresh")
    query = {"query": {"term": {"attributes.metadata.user": "ann"}}}
    assert opensearch.ask("POST", "/below-traces/_search", query)["hits"]["total"]["value"] == 1


async def test_times_keep_their_nanoseconds(opensearch: OpenSearch) -> None:
    """Sorted as they happened, by differences of one nanosecond."""
    async with storing(opensearch, "nanos", mapping={"mode": "otel"}) as r:
        await r.consume(make_batch(Signal.LOGS, 20))
        await r.until_idle(60)
        assert [one.ok for one in await r.exporter.probe()] == [True, True]
    nanos = {"field": "@timestamp", "format": "strict_date_optional_time_nanos"}
    wanted = {"size": 20, "sort": [{"@timestamp": "desc"}], "docvalue_fields": [nanos]}
    opensearch.ask("POST", "/nanos-logs/_refresh")
    hits = opensearch.ask("POST", "/nanos-logs/_search", wanted)["hits"]["hits"]
    assert [hit["_source"]["body"]["text"] for hit in hits] == [f"message {number}" for number in reversed(range(20))]
    assert hits[0]["fields"]["@timestamp"] == ["2025-10-09T08:53:20.000000019Z"]


async def test_what_has_another_type_is_refused_alone(opensearch: OpenSearch) -> None:
    """A number where a text is: that document is given up, the others are stored. The form ``flat`` takes both."""
    for mode, dropped in (("otel", {"permanent": 1}), ("flat", {})):
        test = f"types-{mode}"
        async with storing(opensearch, test, mapping={"mode": mode}) as r:
            await r.consume(make_batch(items=3, attributes={"n": 1}))
            await r.until_idle(60)
            other = make_batch(items=1, attributes={"n": "not a number"}, seed=2)
            await r.consume(Batch.merge([other, make_batch(items=3, attributes={"n": 2}, seed=3)]))
            await r.until_idle(60)
            assert r.dropped == dropped
            assert r.meter.value("exporter_sent_spans") == 7 - sum(dropped.values())


async def test_an_index_that_is_blocked_is_an_answer(opensearch: OpenSearch) -> None:
    """403 for each document: given up for good."""
    opensearch.ask("PUT", "/blocked", {"settings": {"index.blocks.write": True, "number_of_replicas": 0}})
    options = {"endpoint": opensearch.url, "traces_index": "blocked", "retry_on_failure": QUICK_RETRY}
    async with running(FACTORY, options) as r:
        await r.consume(make_batch(items=3))
        await r.until_idle(60)
        assert r.dropped == {"permanent": 3}


async def test_days_have_indices_of_their_own(opensearch: OpenSearch) -> None:
    """Plain indices by the date of the document."""
    async with storing(opensearch, "days", logstash_format={"enabled": True}) as r:
        await r.consume(make_batch(items=3))
        await r.until_idle(60)
    assert {one["_index"] for one in opensearch.documents("days-traces-*")} == {"days-traces-2025.10.09"}
