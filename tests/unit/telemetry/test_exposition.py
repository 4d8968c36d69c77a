"""The ``/metrics`` page: formats, compression, options, ports."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from pydantic import ValidationError

from untrace_pipeline.api import ComponentId, Kind, StartError
from untrace_pipeline.config.model import MetricsConfig
from untrace_pipeline.telemetry.exposition import Exposition, Page, pages_of, render
from untrace_pipeline.telemetry.merge import merge
from untrace_pipeline.telemetry.metrics import Metrics, Snapshot

RESOURCE = {"service.name": "untrace-pipeline", "service.version": "1"}
ANY_PORT = Page("localhost", 0, "untrace_")


def make_metrics() -> Metrics:
    metrics = Metrics()
    meter = metrics.component_meter(ComponentId.parse(Kind.EXPORTER, 'otlp/odd"id\\'))
    meter.counter("exporter_sent_spans").add(3)
    meter.gauge("exporter_queue_size").set(2)
    for value in (0.001, 0.3, 100.0):
        meter.histogram("destination_latency_seconds").record(value)
    return metrics


@pytest.mark.parametrize("openmetrics", [False, True])
def test_both_formats_are_understood_by_prometheus(openmetrics: bool) -> None:
    """Values, labels with odd characters, cumulated buckets and ``target_info`` come out as they went in."""
    body, content_type = render(make_metrics().snapshot(), ANY_PORT, RESOURCE, openmetrics=openmetrics)
    parse = parse_openmetrics if openmetrics else parse_text
    samples = {(s.name, s.labels.get("le")): s for family in parse(body.decode()) for s in family.samples}
    assert ("openmetrics" in content_type) is openmetrics
    sent = samples["untrace_exporter_sent_spans_total", None]
    assert (sent.value, sent.labels) == (3, {"exporter": 'otlp/odd"id\\'})
    assert samples["untrace_exporter_queue_size", None].value == 2
    latency = "untrace_destination_latency_seconds"
    bounds = [samples[f"{latency}_bucket", bound].value for bound in ("0.001", "0.25", "0.5", "30.0", "+Inf")]
    assert bounds == [1, 1, 2, 2, 3]
    assert (samples[f"{latency}_count", None].value, samples[f"{latency}_sum", None].value) == (
        3,
        pytest.approx(100.301),
    )
    assert samples["target_info", None].labels == {"service_name": "untrace-pipeline", "service_version": "1"}


def test_names_as_in_collector_dashboards() -> None:
    """With the Collector's prefix and without type suffix, a default Collector dashboard finds its series."""
    page = Page("localhost", 0, "otelcol_", type_suffix=False)
    body, _ = render(make_metrics().snapshot(), page, RESOURCE, openmetrics=False)
    names = {sample.name for family in parse_text(body.decode()) for sample in family.samples}
    assert {"otelcol_exporter_sent_spans", "otelcol_exporter_queue_size"} <= names


@pytest.mark.parametrize(
    ("options", "pages"),
    [
        ({}, [Page("localhost", 8888, "untrace_")]),
        ({"level": "none"}, []),
        ({"address": "0.0.0.0:9999"}, [Page("0.0.0.0", 9999, "untrace_")]),
        ({"address": ":8888"}, [Page("", 8888, "untrace_")]),
        ({"address": "[::1]:8888", "prefix": "otelcol_"}, [Page("::1", 8888, "otelcol_")]),
        ({"readers": []}, []),
        ({"readers": [{"pull": {"exporter": {"prometheus": None}}}]}, [Page("localhost", 8888, "untrace_")]),
        (
            {
                "address": "0.0.0.0:1",
                "readers": [
                    {
                        "pull": {
                            "exporter": {
                                "prometheus": {
                                    "host": "::",
                                    "port": 9,
                                    "without_type_suffix": True,
                                    "without_units": True,
                                    "without_scope_info": True,
                                    "with_resource_constant_labels": {"included": []},
                                }
                            }
                        }
                    }
                ],
            },
            [Page("::", 9, "untrace_", type_suffix=False)],
        ),
    ],
)
def test_where_pages_are(options: dict[str, Any], pages: list[Page]) -> None:
    """The Collector's spellings, old and new; readers win over ``address``."""
    assert pages_of(MetricsConfig.model_validate(options)) == pages


def test_a_periodic_reader_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A Collector's file that pushes its metrics runs, and says that this part does nothing yet."""
    config = MetricsConfig.model_validate({"readers": [{"periodic": {"exporter": {"otlp": {}}}}]})
    assert pages_of(config) == []
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "readers.0: periodic readers are not supported yet" in caplog.text


@pytest.mark.parametrize(
    "options",
    [
        {"readers": [{"pull": {}}]},
        {"readers": [{"pull": {"exporter": {"console": {}}}}]},
        {"readers": [{"pull": {"exporter": {"prometheus": {"port": "x"}}}}]},
        {"readers": [{"pull": {"exporter": {"prometheus": {"prot": 1}}}}]},
        {"address": "localhost"},
    ],
)
def test_what_is_not_understood_is_a_problem_of_the_configuration(options: dict[str, Any]) -> None:
    """Readers are checked with everything else, before anything starts."""
    with pytest.raises(ValidationError):
        MetricsConfig.model_validate(options)


@asynccontextmanager
async def serving(page: Page = ANY_PORT) -> AsyncIterator[Exposition]:
    exposition = Exposition(make_metrics())
    await exposition.change([page], RESOURCE)
    try:
        yield exposition
    finally:
        await exposition.close()


async def get(address: str, target: str = "/metrics", headers: str = "") -> tuple[bytes, bytes]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


async def test_over_http() -> None:
    """Scrapers get what they ask for: text, OpenMetrics, gzip; other paths are not found."""
    async with serving() as exposition:
        [address] = exposition.addresses()
        head, text = await get(address)
        assert b"200 OK" in head
        assert b"text/plain" in head
        assert b"untrace_exporter_sent_spans_total" in text
        head, body = await get(address, headers="Accept: application/openmetrics-text; version=1.0.0\r\n")
        assert b"application/openmetrics-text" in head
        assert body.endswith(b"# EOF\n")
        head, body = await get(address, headers="Accept-Encoding: gzip\r\n")
        assert b"content-encoding: gzip" in head
        assert b"untrace_exporter_sent_spans_total" in gzip.decompress(body)
        head, _ = await get(address, "/")
        assert b"404" in head


async def test_somebody_else_may_collect() -> None:
    """Whoever looks after several processes shows what all of them counted, asked at each scrape."""

    async def collect() -> Snapshot:
        other = make_metrics().snapshot()
        return merge(make_metrics().snapshot(), [other])

    exposition = Exposition(Metrics(), collect)
    await exposition.change([ANY_PORT], RESOURCE)
    try:
        _, text = await get(exposition.addresses()[0])
    finally:
        await exposition.close()
    assert b"untrace_exporter_queue_size{" in text
    assert b"} 4.0" in text


async def test_a_taken_port_changes_nothing() -> None:
    """A reload to pages of which one cannot be opened leaves those that are."""
    async with serving() as exposition:
        [address] = exposition.addresses()
        taken = int(address.rpartition(":")[2])
        with pytest.raises(StartError, match=f"service.telemetry.metrics: cannot listen on localhost:{taken}"):
            await exposition.change([Page("127.0.0.1", 0, "new_"), Page("localhost", taken, "new_")], RESOURCE)
        assert exposition.addresses() == [address]
        assert b"untrace_exporter_sent_spans_total" in (await get(address))[1]


async def test_pages_come_and_go() -> None:
    """Pages that are no longer wanted close, others open, and those that stay take new options."""
    async with serving() as exposition:
        [old] = exposition.addresses()
        other = Page("127.0.0.1", 0, "other_")
        await exposition.change([Page("localhost", 0, "new_"), other], RESOURCE)
        first, second = exposition.addresses()
        assert first == old
        assert b"new_exporter_sent_spans_total" in (await get(first))[1]
        await exposition.change([other], RESOURCE)
        assert exposition.addresses() == [second]
        with pytest.raises(ConnectionRefusedError):
            await get(old)
