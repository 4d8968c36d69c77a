"""The exporter ``loki_push``: streams, lines and metadata, and what it makes of Loki's answers."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from cramjam import snappy
from pydantic import ValidationError

from tests.support.exporters import QUICK_RETRY, Running, running
from tests.support.http_peer import Asked, HttpPeer, Reply
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import NewEvent, NewLog, NewSpan, Scope, compose_logs, compose_spans
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.loki_push import FACTORY
from untrace_plugins.exporters.loki_push.encoding import encode_json, encode_protobuf, push_class
from untrace_plugins.exporters.loki_push.entries import Entries

TRACE, SPAN = bytes(range(16)), bytes(range(8))
NOW = 1_760_000_000_123_456_789
SHOP = {"service.name": "shop", "host.name": "a", "deployment.environment.name": "prod"}


def config_of(**options: Any) -> Any:
    return FACTORY.config.model_validate({"endpoint": "http://localhost:3100", **options})


def log_batch(*logs: NewLog) -> Batch:
    return Batch(Signal.LOGS, compose_logs(SHOP, Scope("tests", "1.0"), logs))


def log(body: Any = "hello", nanos: int = NOW, **attributes: Any) -> NewLog:
    given = {name.replace("__", "."): value for name, value in attributes.items()}
    return NewLog(nanos, body, given, severity_number=17, severity_text="Error", trace_id=TRACE, span_id=SPAN)


def span_batch(**changes: Any) -> Batch:
    fields: dict[str, Any] = {"attributes": {"gen_ai.request.model": "gpt-4o"}, "status_code": 2, **changes}
    events = (NewEvent("chosen", NOW + 5, {"index": 0}),)
    span = NewSpan(TRACE, SPAN, "chat", NOW, NOW + 1_500_000, kind=3, events=events, **fields)
    return Batch(Signal.TRACES, compose_spans(SHOP, Scope("tests"), [span]))


def pushed(batch: Batch, **options: Any) -> list[dict[str, Any]]:
    streams: list[dict[str, Any]] = json.loads(encode_json(Entries(config_of(**options)).of(batch)))["streams"]
    return streams


# --------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": ""}, "at least 1"),
        ({"attribute_labels": ["trace_id"]}, "a stream of its own"),
        ({"attribute_labels": [f"a{n}" for n in range(12)]}, "at most 15 labels"),
        ({"compression": "zstd"}, "Loki does not take zstd"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    """With the reason."""
    with pytest.raises(ValidationError, match=message):
        config_of(**options)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://localhost:3100", "http://localhost:3100/loki/api/v1/push"),
        ("http://localhost:3100/", "http://localhost:3100/loki/api/v1/push"),
        ("https://logs.example.com/api/push", "https://logs.example.com/api/push"),
        ("http://victoria:9428/insert/loki/api/v1/push", "http://victoria:9428/insert/loki/api/v1/push"),
    ],
)
def test_where_lines_are_pushed_to(endpoint: str, url: str) -> None:
    """A whole URL is taken as it is."""
    assert config_of(endpoint=endpoint).url == url


# --------------------------------------------------------------------- entries


def test_a_record_as_json() -> None:
    """All of it in the line, few labels, the rest as metadata to search by."""
    [stream] = pushed(log_batch(log(gen_ai__request__model="gpt-4o", n=1)), labels={"cluster": "c1"})
    assert stream["stream"] == {
        "service_name": "shop",
        "deployment_environment_name": "prod",
        "cluster": "c1",
        "level": "error",
    }
    [[nanos, line, metadata]] = stream["values"]
    assert nanos == str(NOW)
    assert json.loads(line) == {
        "body": "hello",
        "traceid": TRACE.hex(),
        "spanid": SPAN.hex(),
        "severity": "Error",
        "attributes": {"gen_ai.request.model": "gpt-4o", "n": 1},
        "resources": SHOP,
        "instrumentation_scope": {"name": "tests", "version": "1.0"},
    }
    assert metadata == {
        "trace_id": TRACE.hex(),
        "span_id": SPAN.hex(),
        "severity_text": "Error",
        "severity_number": "17",
        "scope_name": "tests",
        "scope_version": "1.0",
        "gen_ai_request_model": "gpt-4o",
        "n": "1",
        "host_name": "a",
    }


def test_a_record_as_its_body() -> None:
    """The text alone; structured bodies are JSON."""
    options = {
        "line_format": "body",
        "structured_metadata": False,
        "level_label": False,
        "resource_labels": ["host.name"],
    }
    batch = log_batch(log("hello"), log({"a": 1}))
    [stream] = pushed(batch, **options)
    assert [value[1:] for value in stream["values"]] == [["hello"], ['{"a":1}']]
    assert "level" not in stream["stream"]
    assert stream["stream"]["host_name"] == "a"


def test_a_span_is_a_line_too() -> None:
    """At its end, with how long it took and how it ended."""
    [stream] = pushed(span_batch(), attribute_labels=["gen_ai.request.model"])
    assert stream["stream"]["gen_ai_request_model"] == "gpt-4o"
    assert (stream["stream"]["signal"], stream["stream"]["level"]) == ("traces", "error")
    [[nanos, line, metadata]] = stream["values"]
    assert nanos == str(NOW + 1_500_000)
    found = json.loads(line)
    assert (found["name"], found["duration_ms"], found["status"]) == ("chat", 1.5, "Error")
    assert found["events"] == [{"name": "chosen", "time": str(NOW + 5), "attributes": {"index": 0}}]
    assert (metadata["span_name"], metadata["duration_ms"]) == ("chat", "1.500")
    assert "gen_ai_request_model" not in metadata, "it is a label"


def test_streams_are_in_order_and_long_metadata_is_marked() -> None:
    """Each stream by time; a prompt is whole in the line, and short where one searches."""
    prompt = "word " * 1000
    batch = log_batch(log("b", NOW + 2, prompt=prompt), log("a", NOW + 1))
    [stream] = pushed(batch, max_metadata_value=20)
    assert [value[0] for value in stream["values"]] == [str(NOW + 1), str(NOW + 2)]
    _, line, metadata = stream["values"][1]
    assert json.loads(line)["attributes"]["prompt"] == prompt
    assert metadata["prompt"] == "word word word word…"
    assert len(metadata["prompt"]) == 20


def test_both_encodings_say_the_same() -> None:
    """Labels as a selector, times in seconds and nanoseconds."""
    entries = Entries(config_of(labels={"quote": 'a"b\\'})).of(log_batch(log()))
    request = push_class().FromString(encode_protobuf(entries))
    [stream] = request.streams
    assert stream.labels == (
        '{deployment_environment_name="prod", level="error", quote="a\\"b\\\\", service_name="shop"}'
    )
    [entry] = stream.entries
    [[nanos, line, metadata]] = json.loads(encode_json(entries))["streams"][0]["values"]
    assert entry.timestamp.seconds * 10**9 + entry.timestamp.nanos == int(nanos)
    assert (entry.line, {pair.name: pair.value for pair in entry.structuredMetadata}) == (line, metadata)


# --------------------------------------------------------------------- sending


def pushing_to(url: str, **options: Any) -> AbstractAsyncContextManager[Running]:
    plain = {"retry_on_failure": QUICK_RETRY, "sending_queue": {"batch": None, "num_consumers": 1}}
    return running(FACTORY, {"endpoint": url, **plain, **options}, signals=[Signal.LOGS, Signal.TRACES])


async def test_what_goes_over_the_wire() -> None:
    """Path, tenant, gzip."""
    async with HttpPeer(Reply(204)) as server, pushing_to(server.url, tenant="acme-logs") as r:
        await r.consume(make_batch(Signal.LOGS, 6))
        await r.until_idle()
        assert r.meter.value("exporter_sent_log_records") == 6
    [asked] = server.asked
    assert asked.path == "/loki/api/v1/push"
    assert asked.headers["x-scope-orgid"] == "acme-logs"
    assert (asked.headers["content-encoding"], asked.headers["content-type"]) == ("gzip", "application/json")
    assert sum(len(stream["values"]) for stream in json.loads(asked.body)["streams"]) == 6


async def test_protobuf_goes_with_snappy() -> None:
    """Compressed once, by the protocol's own way."""
    async with HttpPeer(Reply(204)) as server, pushing_to(server.url, encoding="protobuf") as r:
        await r.consume(make_batch(Signal.LOGS, 6))
        await r.until_idle()
    [asked] = server.asked
    assert (asked.headers["content-encoding"], asked.headers["content-type"]) == ("snappy", "application/x-protobuf")
    request = push_class().FromString(bytes(snappy.decompress_raw(asked.body)))
    assert sum(len(stream.entries) for stream in request.streams) == 6


OLD = "entry for stream '{a=\"secret\"}' has timestamp too old: 2026-01-01, oldest acceptable timestamp is: 2026-06-01"
BEHIND = (
    "entry with timestamp 2026 ignored, reason: 'entry too far behind, …',\nuser 'fake', total ignored: 2 out of 6 for"
)


@pytest.mark.parametrize(
    ("body", "rejected", "dropped", "reason"),
    [
        (OLD, 1, 0, "too old"),
        (f"4 errors like: {OLD}; 1 errors like: max entry size '1' bytes exceeded for stream 'x'", 5, 0, "too old"),
        (BEHIND, 2, 0, "out of order"),
        (f"6 errors like: {OLD}", 0, 6, "too old"),
        ("stream '{a=\"secret\"}' has label value too long: 'secret'", 0, 6, "labels not taken"),
        ("error parsing JSON", 0, 6, "not taken"),
    ],
)
async def test_lines_that_are_refused(
    body: str, rejected: int, dropped: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Loki takes the others of the same push: only what it says is refused, and never pushed again."""
    async with HttpPeer(Reply(400, body.encode())) as server, pushing_to(server.url) as r:
        await r.consume(make_batch(Signal.LOGS, 6))
        await r.until_idle()
        assert r.meter.value("exporter_rejected_log_records") == rejected
        assert r.dropped == ({"permanent": dropped} if dropped else {})
    assert len(server.asked) == 1
    assert f"HTTP 400: {reason}" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    """The limits of the tenant, and Loki's own troubles."""
    async with HttpPeer(Reply(status), Reply(204)) as server, pushing_to(server.url) as r:
        await r.consume(make_batch(Signal.LOGS, 6))
        await r.until_idle()
        assert r.dropped == {}
    assert len(server.asked) == 2


@pytest.mark.parametrize(("oversize", "dropped"), [("drop", {"too_large": 1}), ("truncate", {})])
async def test_a_line_that_is_too_long_goes_by_oversize(oversize: str, dropped: dict[str, int]) -> None:
    """The others are pushed at once; it is given up, or its attributes are cut and marked."""
    lines: list[str] = []

    def rule(asked: Asked) -> Reply:
        for stream in json.loads(asked.body)["streams"]:
            lines.extend(value[1] for value in stream["values"])
        return Reply(204)

    batch = log_batch(log("a"), log("b", prompt="x" * 50_000), log("c"))
    async with (
        HttpPeer(rule=rule) as server,
        pushing_to(server.url, max_line_bytes=20_000, oversize=oversize) as r,
    ):
        await r.consume(batch)
        await r.until_idle()
        assert r.dropped == dropped
    bodies = [json.loads(line)["body"] for line in lines]
    assert bodies == (["a", "c"] if dropped else ["a", "c", "b"])
    assert all(len(line) <= 20_000 for line in lines)
