"""The exporter ``clickhouse`` against a server that answers as the HTTP interface documents it."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from pydantic import ValidationError

from tests.support.exporters import QUICK_RETRY, Running, running
from tests.support.http_peer import Asked, HttpPeer, Reply
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.errors import ConsumeError, OversizeError, PermanentError, RetryableError
from untrace_pipeline.net.http_answer import Answer
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.clickhouse import FACTORY
from untrace_plugins.exporters.clickhouse.answers import BadRowError, MissingTableError, judge
from untrace_plugins.exporters.clickhouse.records import Records
from untrace_plugins.exporters.clickhouse.schema import statements


def config_of(**options: Any) -> Any:
    return FACTORY.config.model_validate({"endpoint": "http://localhost:8123", **options})


def sending_to(url: str, **options: Any) -> AbstractAsyncContextManager[Running]:
    plain = {"sending_queue": {"batch": None}, "create_schema": False, "compression": "gzip"}
    return running(FACTORY, {"endpoint": url, "retry_on_failure": QUICK_RETRY, **plain, **options})


def exception(number: int, name: str, status: int = 400, text: str = "") -> Reply:
    """Return what the server says of an exception."""
    body = f"Code: {number}. DB::Exception: {text} ({name}) (version 26.9.2.1)\n".encode()
    return Reply(status, body, {"X-ClickHouse-Exception-Code": str(number)})


# --------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": ""}, "endpoint, or endpoints"),
        ({"endpoints": ["http://b:1"]}, "endpoint, or endpoints"),
        ({"endpoint": "tcp://localhost:9000"}, "HTTP interface"),
        ({"password": "secret"}, "password needs username"),
        ({"database": "a`b"}, "pattern"),
        ({"table_engine": {"name": "Memory"}}, "pattern"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    """With the reason."""
    with pytest.raises(ValidationError, match=message):
        config_of(**options)


def test_tables_are_made_as_the_options_say() -> None:
    """Names, engine, cluster, time to live; the deduplication window only where replicas have none of their own."""
    made = list(statements(config_of(database="otel", ttl="48h", traces_table_name="spans"), [Signal.TRACES]))
    assert made[0] == "CREATE DATABASE IF NOT EXISTS `otel`"
    assert made[1].startswith("CREATE TABLE IF NOT EXISTS `otel`.`spans` (\n    Timestamp DateTime64(9)")
    assert "TTL toDateTime(Timestamp) + toIntervalSecond(172800)" in made[1]
    assert "non_replicated_deduplication_window = 1000" in made[1]
    assert "TO `otel`.`spans_trace_id_ts`" in made[3]
    engine = {"name": "ReplicatedMergeTree", "params": "'/t/{shard}', '{replica}'"}
    replicated = list(statements(config_of(table_engine=engine, cluster_name="c1"), list(Signal)))
    assert len(replicated) == 9
    assert all("ON CLUSTER 'c1'" in statement for statement in replicated)
    assert "ENGINE = ReplicatedMergeTree('/t/{shard}', '{replica}')" in replicated[0]
    assert "deduplication" not in "".join(replicated)
    names = {"logs_table_name": "records", "metrics_tables": {"gauge": {"name": "gauges"}}, "deduplication_window": 0}
    own = "".join(statements(config_of(**names), [Signal.LOGS, Signal.METRICS]))
    assert "`records` (" in own
    assert "`gauges` (" in own
    assert "deduplication" not in own


def test_numbers_that_json_cannot_hold_are_texts() -> None:
    """The server reads them; null would become zero."""
    batch = make_batch(Signal.METRICS, 1)
    line = json.loads(Records(json_columns=False).of(batch)[0].line)
    assert 0 < line["Value"] < 1
    request = ExportMetricsServiceRequest.FromString(batch.to_otlp())
    point = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]
    for value, text in ((float("inf"), "inf"), (float("-inf"), "-inf"), (float("nan"), "nan")):
        point.as_double = value
        changed = Batch(Signal.METRICS, request.SerializeToString())
        assert json.loads(Records(json_columns=False).of(changed)[0].line)["Value"] == text


# --------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("number", "status", "error"),
    [
        (27, 400, BadRowError),
        (407, 400, BadRowError),
        (60, 404, MissingTableError),
        (81, 404, MissingTableError),
        (16, 400, PermanentError),
        (516, 403, PermanentError),
        (497, 403, PermanentError),
        (252, 500, RetryableError),
        (241, 500, RetryableError),
        (202, 500, RetryableError),
        (999, 500, RetryableError),
        (319, 500, RetryableError),
        (12345, 500, RetryableError),
        (12345, 400, PermanentError),
    ],
)
def test_codes_decide(number: int, status: int, error: type[ConsumeError]) -> None:
    """Whatever the HTTP status is; unknown ones by the status."""
    reply = exception(number, "SOME_NAME", status, "value 'secret'")
    found = judge(Answer(status, "text/plain", reply.body, reply.headers))
    assert type(found) is error
    assert str(found) == f"code {number} (SOME_NAME)"
    assert "value 'secret'" in found.detail


def test_an_exception_after_the_status_was_sent_is_found() -> None:
    """200 in the head, and the exception in the body."""
    found = judge(Answer(200, "text/plain", b"Code: 241. DB::Exception: Memory limit (MEMORY_LIMIT_EXCEEDED)"))
    assert isinstance(found, RetryableError)
    assert judge(Answer(200, "text/plain", b"")) is None


@pytest.mark.parametrize(("status", "error"), [(413, OversizeError), (502, RetryableError), (500, RetryableError)])
def test_what_comes_from_a_proxy_is_judged_by_its_status(status: int, error: type[ConsumeError]) -> None:
    """No code, no exception of the server."""
    assert isinstance(judge(Answer(status, "text/html", b"<html>")), error)


# --------------------------------------------------------------------- sending


async def test_what_goes_over_the_wire() -> None:
    """One insert for the table, with its settings, a token, credentials in headers, and compressed."""
    options = {
        "username": "me",
        "password": "pass-word",
        "database": "otel",
        "compression": "gzip",
        "connection_params": {"max_insert_threads": "4"},
    }
    async with HttpPeer() as server, sending_to(server.url, **options) as r:
        for _ in range(2):
            await r.consume(make_batch(items=5))
            await r.until_idle()
    one, again = server.asked
    assert one.query["query"] == "INSERT INTO `otel`.`otel_traces` FORMAT JSONEachRow"
    assert one.query["max_insert_threads"] == "4"
    assert one.query["insert_deduplication_token"] == again.query["insert_deduplication_token"]
    assert (one.headers["x-clickhouse-user"], one.headers["x-clickhouse-key"]) == ("me", "pass-word")
    assert one.headers["content-encoding"] == "gzip"
    assert len(one.lines()) == 5
    assert "pass-word" not in json.dumps(dict(one.query))


async def test_inserts_that_the_server_gathers_have_no_token() -> None:
    """It waits for them to be written all the same."""
    async with HttpPeer() as server, sending_to(server.url, async_insert=True) as r:
        await r.consume(make_batch(items=5))
        await r.until_idle()
    query = server.asked[0].query
    assert (query["async_insert"], query["wait_for_async_insert"]) == ("1", "1")
    assert "insert_deduplication_token" not in query


async def test_only_the_table_that_failed_is_sent_again() -> None:
    """Points of five kinds are five inserts; one of them is busy once."""
    failing = [exception(252, "TOO_MANY_PARTS", 500)]

    def rule(asked: Asked) -> Reply:
        return failing.pop() if "histogram`" in asked.query["query"] and failing else Reply()

    async with HttpPeer(rule=rule) as server, sending_to(server.url) as r:
        await r.consume(make_batch(Signal.METRICS, 10))
        await r.until_idle()
    tables = [asked.query["query"].split("`")[3] for asked in server.asked]
    assert len(tables) == 6
    assert tables.count("otel_metrics_histogram") + tables.count("otel_metrics_exponential_histogram") == 3
    assert r.meter.value("exporter_sent_metric_points") == 10


@pytest.mark.parametrize("reply", [exception(27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED"), Reply(413)])
async def test_a_row_that_cannot_be_taken_is_found_by_halves(reply: Reply) -> None:
    """All others are inserted, each once; tokens of parts are their own."""
    inserted: list[str] = []

    def rule(asked: Asked) -> Reply:
        names = [line["Body"] for line in asked.lines()]
        if "message 5" in names:
            return reply
        inserted.extend(names)
        return Reply()

    async with HttpPeer(rule=rule) as server, sending_to(server.url) as r:
        await r.consume(make_batch(Signal.LOGS, 9))
        await r.until_idle()
    assert sorted(inserted) == [f"message {number}" for number in range(9) if number != 5]
    assert sum(r.dropped.values()) == 1
    tokens = [asked.query["insert_deduplication_token"] for asked in server.asked]
    assert len(set(tokens)) == len(tokens)


async def test_what_the_server_says_of_values_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The code and its name are."""
    async with (
        HttpPeer(exception(16, "NO_SUCH_COLUMN_IN_TABLE", text="a secret")) as server,
        sending_to(server.url) as r,
    ):
        await r.consume(make_batch(items=1))
        await r.until_idle()
        assert r.dropped == {"permanent": 1}
    assert "code 16 (NO_SUCH_COLUMN_IN_TABLE)" in caplog.text
    assert "a secret" not in caplog.text


async def test_tables_are_made_once_and_again_when_they_vanish(caplog: pytest.LogCaptureFixture) -> None:
    """Before the first insert, after a refusal that says why, and when the server does not know them any more."""
    failing = [exception(60, "UNKNOWN_TABLE", 404)]

    def rule(asked: Asked) -> Reply:
        return failing.pop() if asked.query["query"].startswith("INSERT") and failing else Reply()

    refused = exception(62, "SYNTAX_ERROR", text="near CODEC")
    async with HttpPeer(refused, rule=rule) as server, sending_to(server.url, create_schema=True) as r:
        for _ in range(2):
            await r.consume(make_batch(items=1))
            await r.until_idle()
        assert r.dropped == {}
    kinds = [asked.query["query"].partition(" ")[0] for asked in server.asked]
    tables = 1 + 2 + 5  # of spans and their times with a view, of log records, of points
    assert kinds == ["CREATE", *["CREATE"] * (tables + 1), "INSERT", *["CREATE"] * (tables + 1), "INSERT", "INSERT"]
    assert "near CODEC" in caplog.text
