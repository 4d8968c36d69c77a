"""The ``untrace`` receiver over HTTP: what it takes, what it answers."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import zstandard

from tests.unit.plugins.receivers.untrace.client import CHAT, MINIMAL, running
from untrace_pipeline.api import Code, PermanentError, RetryableError, StartError
from untrace_pipeline.data import Batch, Field, Level, attribute
from untrace_pipeline.testing import BlockingSink, FailingSink, Sink

TRACE_ID, SPAN_ID, PARENT = (Field(Level.ITEM, name) for name in ("trace_id", "span_id", "parent_span_id"))
KEYS = [
    {"key": "tr_live_1", "name": "production", "tenant": "acme"},
    {"key": "tr_live_2", "enabled": False},
    {"key": "tr_live_3", "allow": ["ingest"]},
    {"key": "tr_live_4", "expires": "2020-01-01T00:00:00"},
    {"key": "tr_live_5", "expires": "2999-01-01T00:00:00+02:00"},
]
INGEST: dict[str, Any] = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "app"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "@untrace/sdk"},
                    "spans": [
                        {
                            "traceId": "0af7651916cd43dd8448eb211c80319c",
                            "spanId": "b7ad6b7169203331",
                            "parentSpanId": None,
                            "name": "chat",
                            "kind": 3,
                            "startTimeUnixNano": "1700000000000000000",
                            "endTimeUnixNano": "1700000001000000000",
                            "attributes": [{"key": "llm.total.tokens", "value": {"intValue": 16}}],
                            "events": [],
                            "links": [],
                            "status": {"code": 0},
                        }
                    ],
                }
            ],
        }
    ]
}


async def test_one_trace_becomes_one_span() -> None:
    """A trace is answered with 202 and its id, and arrives in canonical form."""
    async with running() as client:
        answer = await client.send("/v1/traces", CHAT)
        assert (answer.status, answer.body) == (202, {"id": CHAT["id"], "status": "accepted"})
        (batch,) = client.sink.batches
    assert batch.column(TRACE_ID) == [bytes.fromhex(CHAT["id"].replace("-", ""))]
    (attributes,) = batch.column(Field(Level.ITEM, "attributes"))
    assert attributes["gen_ai.provider.name"] == "openai"
    assert attributes["gen_ai.request.temperature"] == 0.2
    assert attributes["gen_ai.usage.input_tokens"] == 12
    assert attributes["gen_ai.usage.cost"] == 0.00042
    assert attributes["gen_ai.response.time_to_first_chunk"] == 0.25
    assert attributes["session.id"] == "session-1"
    assert json.loads(attributes["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "Rayleigh."}]
    assert batch.column(attribute("service.name", Level.RESOURCE)) == ["weather"]
    assert batch.column(Field(Level.ITEM, "duration_nanos")) == [1_500_000_000]


async def test_trace_without_id_gets_one() -> None:
    """What has no id is taken all the same, and the answer names the id."""
    async with running() as client:
        first, second = [await client.send("/v1/traces", MINIMAL) for _ in range(2)]
        assert first.body["id"] != second.body["id"]
        assert len(set(client.sink.column(SPAN_ID))) == 2


async def test_batch_answers_for_each_trace() -> None:
    """Good traces of a batch are taken, and each bad one is named by place, id and field."""
    bad = {**MINIMAL, "id": "b", "model": 5}
    async with running() as client:
        answer = await client.send(
            "/v1/traces/batch", {"traces": [{**MINIMAL, "id": "a"}, bad, {**MINIMAL, "id": "a"}]}
        )
        assert answer.status == 202
        assert (answer.body["accepted"], answer.body["rejected"]) == (1, 2)
        first, second = answer.body["errors"]
        assert (first["index"], first["id"]) == (1, "b")
        assert first["details"] == [{"field": "traces[1].model", "message": "Input should be a valid string"}]
        assert (second["index"], second["details"][0]["field"]) == (2, "traces[2].id")
        assert client.sink.item_count == 1
        assert client.here.meter.value("receiver_rejected_traces") == 2


async def test_batch_without_a_good_trace_is_refused() -> None:
    """Where nothing is taken, the answer is no success."""
    async with running() as client:
        answer = await client.send("/v1/traces/batch", {"traces": [{}]})
        assert answer.status == 400
        assert [one["field"] for one in answer.body["error"]["details"]] == [
            f"traces[0].{name}" for name in ("provider", "model", "request")
        ]
        assert client.sink.batches == []


@pytest.mark.parametrize(("count", "status"), [(0, 400), (1000, 202), (1001, 400)])
async def test_batch_has_a_limit(count: int, status: int) -> None:
    """A batch has 1 to 1000 traces."""
    async with running() as client:
        answer = await client.send("/v1/traces/batch", {"traces": [MINIMAL] * count})
        assert answer.status == status
        assert client.sink.item_count == (count if status == 202 else 0)


async def test_large_batch() -> None:
    """A body that is read in a thread is answered like any other."""
    large = {**MINIMAL, "metadata": {"notes": "x" * 1000}}
    async with running() as client:
        answer = await client.send("/v1/traces/batch", {"traces": [large] * 500 + [{"id": "b"}]})
        assert answer.status == 202
        assert (answer.body["accepted"], answer.body["rejected"]) == (500, 1)
        assert client.sink.item_count == 500


async def test_batch_keeps_trees_together() -> None:
    """Traces that name parents of the same batch, at any depth and in any order, share one trace id."""
    tree = [("c", "b"), ("root", None), ("b", "root")]
    async with running() as client:
        sent = [{**MINIMAL, "id": own, "parentId": parent} for own, parent in tree]
        await client.send("/v1/traces/batch", {"traces": sent})
        assert len(set(client.sink.column(TRACE_ID))) == 1
        spans = dict(zip((own for own, _ in tree), client.sink.column(SPAN_ID), strict=True))
        assert client.sink.column(PARENT) == [spans["b"], b"", spans["root"]]


async def test_ingest_form_of_the_sdks() -> None:
    """OTLP-shaped JSON with a number as intValue and null as parent is taken, with a bearer token."""
    async with running(keys=KEYS) as client:
        headers = {"authorization": "Bearer tr_live_1", "x-untrace-metadata": '{"team":"search"}'}
        answer = await client.send("/api/v1/traces/ingest", INGEST, headers)
        assert (answer.status, answer.body) == (200, {"success": True, "tracesProcessed": 1})
        assert client.sink.column(attribute("llm.total.tokens")) == [16]
        assert json.loads(client.sink.column(attribute("untrace.metadata"))[0]) == {
            "customerId": "acme",
            "team": "search",
        }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (('"spanId": "b7ad6b7169203331", ', ""), "resourceSpans[0].scopeSpans[0].spans[0].spanId"),
        (("0af7651916cd43dd8448eb211c80319c", ""), "resourceSpans[0].scopeSpans[0].spans[0].traceId"),
        (("resourceSpans", "spans"), "resourceSpans"),
        (
            ('"resourceSpans": [', '"resourceSpans": [], "resource_spans": [{"scope_spans": [{"spans": [{}]}]}, '),
            "resourceSpans[0].scopeSpans[0].spans[0].traceId",
        ),
    ],
)
async def test_ingest_wants_spans_with_ids(change: tuple[str, str], field: str) -> None:
    """Spans without ids, and bodies without spans, are named."""
    async with running() as client:
        answer = await client.send("/api/v1/traces/ingest", json.loads(json.dumps(INGEST).replace(*change)))
        assert answer.status == 400
        assert answer.body["error"]["details"] == [{"field": field, "message": "Field required"}]
        assert client.sink.batches == []


async def test_ingest_names_the_field() -> None:
    """A wrong span is named by its path."""
    wrong = json.loads(json.dumps(INGEST).replace("b7ad6b7169203331", "xyz"))
    async with running() as client:
        answer = await client.send("/api/v1/traces/ingest", wrong)
        assert answer.status == 400
        assert answer.body["error"]["details"][0]["field"] == "resourceSpans[0].scopeSpans[0].spans[0].spanId"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "INVALID_API_KEY"),
        ({"x-untrace-key": "wrong"}, 401, "INVALID_API_KEY"),
        ({"authorization": "Bearer wrong"}, 401, "INVALID_API_KEY"),
        ({"x-untrace-key": "tr_live_4"}, 401, "INVALID_API_KEY"),
        ({"x-untrace-key": "tr_live_2"}, 403, "FORBIDDEN"),
        ({"x-untrace-key": "tr_live_3"}, 403, "FORBIDDEN"),
    ],
)
async def test_keys_are_checked(headers: dict[str, str], status: int, code: str) -> None:
    """Without a key, with a wrong one, a disabled one or one that may not, nothing is read; the answer says why."""
    async with running(keys=KEYS) as client:
        answer = await client.send("/v1/traces", CHAT, headers)
        assert (answer.status, answer.body["error"]["code"]) == (status, code)
        assert ("www-authenticate" in answer.headers) == (status == 401)
        assert "tr_live" not in json.dumps(answer.body)
        assert client.sink.batches == []


@pytest.mark.parametrize("header", ["x-untrace-key", "authorization"])
async def test_key_names_the_tenant(header: str) -> None:
    """A key says whose traces these are, and goes no further itself."""
    async with running(keys=KEYS, include_metadata=True) as client:
        sent = {header: "tr_live_1" if header == "x-untrace-key" else "Bearer tr_live_1", "x-other": "y"}
        answer = await client.send("/v1/traces", MINIMAL, sent)
        assert answer.status == 202
        (batch,) = client.sink.batches
        assert (batch.context.tenant, batch.context.auth) == ("acme", {"key": "production"})
        assert batch.context.first("x-other") == "y"
        assert header not in batch.context.metadata
        assert json.loads(batch.column(attribute("untrace.metadata"))[0]) == {"customerId": "acme"}
        assert b"tr_live" not in batch.to_otlp()


async def test_key_works_until_it_expires() -> None:
    """A key whose time is not over is a key."""
    async with running(keys=KEYS) as client:
        assert (await client.send("/v1/traces", MINIMAL, {"x-untrace-key": "tr_live_5"})).status == 202


async def test_keys_of_a_file_are_exchanged(tmp_path: Path) -> None:
    """Keys may lie in a file; an empty one is told at start."""
    path = tmp_path / "keys"
    path.write_text("one\ntwo\n")
    async with running(keys=[{"key_file": str(path)}]) as client:
        assert (await client.send("/v1/traces", MINIMAL, {"x-untrace-key": "two"})).status == 202
    path.write_text("\n")
    with pytest.raises(StartError, match="there is no key in"):
        async with running(keys=[{"key_file": str(path)}]):
            pass


async def test_idempotency_key_takes_a_request_once() -> None:
    """The same key and request give the same answer and one span; another request with the key is a conflict."""
    key = {"x-idempotency-key": "k1"}
    async with running() as client:
        first = await client.send("/v1/traces", MINIMAL, key)
        second = await client.send("/v1/traces", MINIMAL, key)
        assert (first.status, second.status) == (202, 202)
        assert first.body == second.body
        assert "x-idempotency-replayed" not in first.headers
        assert second.headers["x-idempotency-replayed"] == "true"
        other = await client.send("/v1/traces", CHAT, key)
        assert (other.status, other.body["error"]["code"]) == (409, "CONFLICT")
        assert (await client.send("/v1/traces/batch", {"traces": [MINIMAL]}, key)).status == 409
        assert client.sink.item_count == 1
        assert client.here.meter.value("receiver_replayed_requests") == 1


async def test_idempotency_keys_belong_to_their_sender() -> None:
    """Two clients may choose the same key."""
    keys = [{"key": "a", "tenant": "a"}, {"key": "b", "tenant": "b"}]
    async with running(keys=keys) as client:
        for one in ("a", "b"):
            headers = {"x-untrace-key": one, "x-idempotency-key": "k"}
            assert "x-idempotency-replayed" not in (await client.send("/v1/traces", MINIMAL, headers)).headers
        assert client.sink.item_count == 2


async def test_duplicates_at_a_time_are_taken_once() -> None:
    """Of several requests with the same key at a time one is taken, and all get its answer."""
    sink = BlockingSink()
    async with running(sink) as client, asyncio.TaskGroup() as group:
        sent = [group.create_task(client.send("/v1/traces", MINIMAL, {"x-idempotency-key": "k"})) for _ in range(5)]
        await sink.wait_for_calls(1)
        sink.release.set()
        answers = [await one for one in sent]
    assert sink.calls == 1
    assert len({one.body["id"] for one in answers}) == 1


async def test_refused_request_may_come_again_with_its_key() -> None:
    """A failure is not remembered: the next attempt is taken."""
    sink = FailingSink([RetryableError("full", retry_after=2.5)])
    async with running(sink) as client:
        first = await client.send("/v1/traces", MINIMAL, {"x-idempotency-key": "k"})
        assert (first.status, first.headers["retry-after"]) == (503, "3")
        assert first.body["error"]["code"] == "DESTINATION_ERROR"
        assert (await client.send("/v1/traces", MINIMAL, {"x-idempotency-key": "k"})).status == 202


async def test_dry_run_sends_nothing_and_says_where() -> None:
    """A dry run is answered with 200 and the remarks of the pipelines, whatever ``include_metadata`` is."""

    class Remarking(Sink):
        async def consume(self, batch: Batch) -> None:
            assert batch.context.dry_run
            batch.context.remarks.append("exporter x: 1 span")

    async with running(Remarking()) as client:
        headers = {"x-untrace-dry-run": "true", "x-idempotency-key": "k"}
        for _ in range(2):
            answer = await client.send("/v1/traces", CHAT, headers)
            assert answer.status == 200
            assert answer.body == {"id": CHAT["id"], "status": "dry_run", "remarks": ["exporter x: 1 span"]}


async def test_header_metadata_is_attached() -> None:
    """What the header says is attached to each trace; what the trace says itself wins."""
    async with running() as client:
        headers = {"x-untrace-metadata": '{"environment":"staging","region":"eu"}'}
        assert (await client.send("/v1/traces", CHAT, headers)).status == 202
        found = json.loads(client.sink.column(attribute("untrace.metadata"))[0])
        assert (found["environment"], found["region"]) == ("production", "eu")


@pytest.mark.parametrize(
    ("text", "field"),
    [("{", "X-Untrace-Metadata"), ("[]", "X-Untrace-Metadata"), ('{"userId":5}', "X-Untrace-Metadata.userId")],
)
async def test_wrong_header_metadata_is_named(text: str, field: str) -> None:
    """A wrong header is named like a wrong field."""
    async with running() as client:
        answer = await client.send("/v1/traces", CHAT, {"x-untrace-metadata": text})
        assert answer.status == 400
        assert answer.body["error"]["details"][0]["field"] == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": None}, "model"),
        ({"request": {"messages": [{"content": "x"}]}}, "request.messages[0].role"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"startTime": -1}, "startTime"),
        ({"metadata": {"tags": 5}}, "metadata.tags"),
        ({"response": {"usage": {"prompt_tokens": -1}}}, "response.usage.prompt_tokens"),
    ],
)
async def test_wrong_field_is_named(change: dict[str, Any], field: str) -> None:
    """A trace with a wrong field is refused with 400, which names the field and does not quote it."""
    async with running() as client:
        answer = await client.send("/v1/traces", {**CHAT, **change})
        assert answer.status == 400
        assert answer.body["error"]["code"] == "INVALID_REQUEST"
        assert [one["field"] for one in answer.body["error"]["details"]] == [field]
        assert "yesterday" not in json.dumps(answer.body)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"a":' * 5000 + b"1" + b"}" * 5000])
async def test_no_json_is_refused(body: bytes) -> None:
    """What is no JSON object is a bad request, on every path."""
    async with running() as client:
        for path in ("/v1/traces", "/v1/traces/batch", "/api/v1/traces/ingest"):
            answer = await client.send(path, body=body)
            assert answer.status == 400, path
            assert answer.body["error"]["message"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RetryableError("x", code=Code.RESOURCE_EXHAUSTED), 429, "RATE_LIMIT_EXCEEDED"),
        (RetryableError("x"), 503, "DESTINATION_ERROR"),
        (PermanentError("x", code=Code.INVALID_ARGUMENT), 400, "INVALID_REQUEST"),
        (PermanentError("x"), 500, "INTERNAL_ERROR"),
    ],
)
async def test_refusals_of_pipelines_are_told(error: Any, status: int, code: str) -> None:
    """What the pipelines refuse is not acknowledged; who may come again is told when."""
    async with running(FailingSink(error)) as client:
        answer = await client.send("/v1/traces", CHAT)
        assert (answer.status, answer.body["error"]["code"]) == (status, code)
        assert ("retry-after" in answer.headers) == isinstance(error, RetryableError)


async def test_full_pipelines_refuse_before_the_body() -> None:
    """What would be refused anyway is not read."""

    class Full(Sink):
        def admit(self, byte_size: int) -> None:
            raise RetryableError("memory", retry_after=7)

    async with running(Full()) as client:
        answer = await client.send("/v1/traces", body=b"no JSON, which nobody reads")
        assert (answer.status, answer.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_compressed_bodies(coding: str) -> None:
    """Bodies may be compressed; unknown codings, and what is larger than the limit inside, are refused."""
    pack = gzip.compress if coding == "gzip" else zstandard.compress
    async with running(max_request_body_size=10_000) as client:
        headers = {"content-encoding": coding}
        assert (await client.send("/v1/traces", headers=headers, body=pack(json.dumps(CHAT).encode()))).status == 202
        bomb = await client.send("/v1/traces", headers=headers, body=pack(b" " * 100_000))
        assert (bomb.status, bomb.body["error"]["code"]) == (413, "INVALID_REQUEST")
        assert (await client.send("/v1/traces", CHAT, {"content-encoding": "br"})).status == 415


async def test_other_requests_are_told_what_is_there() -> None:
    """Unknown paths, methods and content types are answered in the API's form."""
    async with running() as client:
        missing = await client.send("/v2/traces", CHAT)
        assert (missing.status, missing.body["error"]["code"]) == (404, "NOT_FOUND")
        method = await client.send("/v1/traces", method="GET")
        assert (method.status, method.headers["allow"]) == (405, "POST")
        form = await client.send("/v1/traces", CHAT, {"content-type": "application/x-protobuf"})
        assert (form.status, form.headers["accept"]) == (415, "application/json")
        health = await client.send("/health", method="GET")
        assert (health.status, health.body) == (200, {"status": "ok"})


async def test_browsers_may_send_where_cors_says_so() -> None:
    """A preflight of an allowed origin is answered."""
    cors = {"allowed_origins": ["https://app.example.com"], "allowed_headers": ["X-Untrace-Key"]}
    async with running(cors=cors) as client:
        asked = {
            "origin": "https://app.example.com",
            "access-control-request-method": "POST",
            "access-control-request-headers": "x-untrace-key",
        }
        answer = await client.send("/v1/traces", headers=asked, method="OPTIONS")
        assert answer.headers["access-control-allow-headers"] == "x-untrace-key"


async def test_unix_socket(tmp_path: Path) -> None:
    """The API may be served on a unix socket."""
    path = tmp_path / "untrace.sock"
    async with running(endpoint=f"unix://{path}") as client:
        connector = aiohttp.UnixConnector(str(path))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post("http://here/v1/traces", json=CHAT) as answer,
        ):
            assert answer.status == 202
        assert client.sink.item_count == 1
