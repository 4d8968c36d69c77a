"""The ``langfuse`` receiver: what SDKs of all ages send becomes spans that say what happened; what is wrong is told."""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from typing import Any

import pytest

from tests.support.captures import captures
from tests.support.llm_calls import SpanView, spans_by_id
from tests.support.vendor_api import VendorApi, normalised, serving
from untrace_pipeline.api import RetryableError
from untrace_pipeline.data import Field, Level, Signal
from untrace_pipeline.testing import FailingSink
from untrace_plugins.receivers.langfuse import FACTORY

CAPTURE = captures()["langfuse-5.0.4"]
INGEST, SCORES, OTLP = "/api/public/ingestion", "/api/public/scores", "/api/public/otel/v1/traces"
TRACE = "6f6d3c4e-1111-4222-8333-444455556666"
ROOT, CALL = "aaaaaaaa-1111-4222-8333-444455550001", "bbbbbbbb-1111-4222-8333-444455550002"
KEYS = [{"public_key": "pk-lf-1", "secret_key": "sk-lf-1", "tenant": "northwind"}]
EARLY, SOON, LATE = (f"2026-11-21T01:11:{second}.500Z" for second in (21, 22, 23))


def event(kind: str, body: dict[str, Any], id: str = "") -> dict[str, Any]:
    """Return an event."""
    return {"id": id or str(uuid.uuid4()), "type": kind, "timestamp": EARLY, "body": body}


def trace(**fields: Any) -> dict[str, Any]:
    return event("trace-create", {"id": TRACE, "timestamp": EARLY, **fields})


def span(verb: str = "create", **fields: Any) -> dict[str, Any]:
    return event(f"span-{verb}", {"id": ROOT, "traceId": TRACE, **fields})


def generation(verb: str = "create", **fields: Any) -> dict[str, Any]:
    return event(f"generation-{verb}", {"id": CALL, "traceId": TRACE, "parentObservationId": ROOT, **fields})


WHOLE = [
    trace(name="ask", userId="u1", sessionId="s1", tags=["a"], metadata={"team": "blue"}),
    span(name="handler", startTime=EARLY, input={"q": "why"}),
    generation(
        name="llm",
        startTime=EARLY,
        model="gpt-4o",
        modelParameters={"temperature": 0.5},
        input=[{"role": "user", "content": "why"}],
    ),
    generation(
        "update",
        endTime=SOON,
        completionStartTime="2026-11-21T01:11:21.750Z",
        output={"role": "assistant", "content": "so"},
        usage={"promptTokens": 5, "completionTokens": 2, "totalTokens": 7},
    ),
    span("update", endTime=LATE, output={"a": "so"}),
    trace(tags=["b"], output={"a": "so"}, metadata={"done": True}),
]


async def ingest(api: VendorApi, *events: dict[str, Any]) -> dict[str, Any]:
    """Send events; return what the 207 says."""
    answer = await api.post(INGEST, {"batch": list(events), "metadata": {"batch_size": len(events)}})
    assert answer.status == 207, answer.body
    body: dict[str, Any] = answer.body
    return body


def by_name(api: VendorApi) -> dict[str, SpanView]:
    """Return spans by name."""
    return {one.name: one for one in api.spans().values()}


async def test_captured_otlp_goes_on_as_it_is() -> None:
    """What the SDK of today sends goes on as it is: every call is there. Its score becomes a log record."""
    async with serving(FACTORY, keys=[{"public_key": "pk-lf-test", "secret_key": "sk-lf-test"}]) as api:
        media = await api.send(
            "POST", "/api/public/media", CAPTURE.bodies["001-api_public_media.json"], authorization=BASIC
        )
        assert (media.status, media.body["uploadUrl"]) == (201, None)
        body = CAPTURE.bodies["002-traces.pb.gz"]
        headers = {"content_type": "application/x-protobuf", "content_encoding": "gzip", "authorization": BASIC}
        assert (await api.send("POST", OTLP, body, **headers)).status == 200
        scores = await api.send("POST", SCORES, CAPTURE.bodies["003-api_public_scores.json"], authorization=BASIC)
        assert (scores.status, scores.body) == (202, {"message": "Accepted"})
        spans = api.spans()
        [log] = [batch for batch in api.batches if batch.signal is Signal.LOGS]
    assert spans == spans_by_id(batch for _, batch in CAPTURE.otlp(Signal.TRACES))
    assert {call["span"]["span_id"] for call in CAPTURE.expect["calls"] if call["span"]} <= spans.keys()
    assert log.column(Field(Level.ITEM, "attributes")) == [
        {
            "gen_ai.evaluation.name": "helpful",
            "gen_ai.evaluation.score.value": 1.0,
            "gen_ai.evaluation.explanation": "thanks maria.gonzalez@northwind-clinic.example",
            "langfuse.score.id": "908f660e61462272",
            "langfuse.score.environment": "staging",
        }
    ]
    assert log.column(Field(Level.ITEM, "span_id")) == [bytes.fromhex("0a0e43cbada17c6b")]


BASIC = "Basic " + base64.b64encode(b"pk-lf-test:sk-lf-test").decode()


async def test_events_become_spans_of_the_whole_trace() -> None:
    """What is said of the trace, even last, is on each of its spans; begin and end of each come together."""
    async with serving(FACTORY, settle_wait="1h") as api:
        for one in WHOLE:
            assert await ingest(api, one) == {"successes": [{"id": one["id"], "status": 201}], "errors": []}
        assert api.batches == []
    root, call = (normalised(by_name(api)[name]) for name in ("handler", "llm"))
    assert (root.attributes["untrace.input"], root.attributes["untrace.output"]) == ('{"q":"why"}', '{"a":"so"}')
    for said in (root, call):
        assert said.attributes["user.id"] == "u1"
        assert said.attributes["session.id"] == "s1"
        assert said.attributes["untrace.tags"] == ["a", "b"]
        assert json.loads(str(said.attributes["untrace.metadata"])) == {"team": "blue", "done": True}
        assert "untrace.incomplete" not in said.attributes
    assert root.attributes["langfuse.trace.output"] == '{"a":"so"}'
    assert call.attributes["gen_ai.operation.name"] == "chat"
    assert call.attributes["gen_ai.usage.input_tokens"] == 5
    assert call.attributes["gen_ai.request.temperature"] == 0.5
    assert call.attributes["langfuse.observation.completion_start_time"] == "2026-11-21T01:11:21.750Z"
    columns: Any = api.batches[0].columns(
        [Field(Level.ITEM, name) for name in ("trace_id", "span_id", "parent_span_id")]
    )
    assert {one.hex() for one in columns[0]} == {TRACE.replace("-", "")}
    ids = [one.replace("-", "")[16:] for one in (ROOT, CALL)]
    assert [one.hex() for one in columns[1]] == ids
    assert [one.hex() for one in columns[2]] == ["", ids[0]]
    assert api.parts("complete") == len(WHOLE)


async def test_order_and_repetition_make_no_difference() -> None:
    """Events that come backwards, and each twice, say the same."""
    async with serving(FACTORY, settle_wait="1h") as forwards:
        await ingest(forwards, *WHOLE)
    async with serving(FACTORY, settle_wait="1h") as backwards:
        for one in reversed(WHOLE):
            await ingest(backwards, one, one)
        await ingest(backwards, *WHOLE)
    assert backwards.parts("duplicate") == 2 * len(WHOLE)
    said = [{name: dict(one.attributes) for name, one in by_name(api).items()} for api in (forwards, backwards)]
    for spans in said:
        for attributes in spans.values():
            attributes["langfuse.trace.tags"] = sorted(attributes["langfuse.trace.tags"])  # type: ignore[arg-type, type-var]
    assert said[0] == said[1]


async def test_quiet_trace_goes_on() -> None:
    """A trace whose observations have ended goes on when nothing has come for a moment, and no sooner."""
    async with serving(FACTORY, settle_wait="50ms") as api:
        await ingest(api, *WHOLE[:3])
        await ingest(api, *WHOLE[3:])
        await api.running.sink.wait_for_items(2)
        assert api.running.meter.value("receiver_held_runs") == 0
        await ingest(api, WHOLE[0])
        assert api.parts("duplicate") == 1


async def test_trace_that_goes_on_and_on() -> None:
    """What comes after a trace went on still knows what the trace is about, and when its observation began."""
    open_end = event("span-create", {"id": "late", "traceId": TRACE, "name": "late", "startTime": EARLY})
    async with serving(FACTORY, settle_wait="10ms", idle_wait="50ms") as api:
        await ingest(api, *WHOLE, open_end)
        await api.running.sink.wait_for_items(3)
        assert by_name(api)["late"].attributes["untrace.incomplete"] is True
        await ingest(api, event("span-update", {"id": "late", "traceId": TRACE, "endTime": LATE}))
        await api.running.sink.wait_for_items(4)
        [again] = api.batches[1].column(Field(Level.ITEM, "attributes"))
        assert isinstance(again, dict)
        assert again["user.id"] == "u1"
        assert "untrace.incomplete" not in again
        assert api.batches[1].column(Field(Level.ITEM, "name")) == ["late"]
        assert api.parts("late") == 1


async def test_trace_alone_is_a_span() -> None:
    """A trace without observations is not lost."""
    async with serving(FACTORY) as api:
        await ingest(api, trace(name="only", input="i", output="o"))
    [only] = map(normalised, api.spans().values())
    assert (only.name, only.attributes["untrace.input"], only.attributes["untrace.output"]) == ("only", "i", "o")


async def test_ids_that_are_no_ids_of_otlp() -> None:
    """Any text is an id: its hash is in the span, itself in an attribute."""
    async with serving(FACTORY) as api:
        await ingest(
            api, event("event-create", {"id": "my event", "traceId": "my trace", "name": "e", "startTime": EARLY})
        )
    [one] = api.spans().values()
    assert one.attributes["langfuse.trace.id"] == "my trace"
    assert one.attributes["langfuse.observation.id"] == "my event"
    assert "untrace.incomplete" not in one.attributes


async def test_change_without_its_trace_finds_it() -> None:
    """Clients may leave the trace out where they change an observation."""
    async with serving(FACTORY, settle_wait="1h") as api:
        await ingest(api, span(name="handler", startTime=EARLY))
        await ingest(api, event("span-update", {"id": ROOT, "endTime": LATE}))
    assert len(api.spans()) == 1
    assert api.parts("complete") == 2


async def test_errors_costs_and_prompts() -> None:
    """Level, message, prices and the prompt of an observation reach the span."""
    fields: dict[str, Any] = {"level": "ERROR", "statusMessage": "boom", "promptName": "p", "promptVersion": 3}
    usage = {"input": 10, "output": 4, "unit": "TOKENS", "inputCost": 0.1, "outputCost": 0.2, "totalCost": 0.3}
    async with serving(FACTORY) as api:
        await ingest(api, generation(name="llm", startTime=EARLY, endTime=SOON, model="m", usage=usage, **fields))
    [call] = map(normalised, api.spans().values())
    assert call.failed
    assert call.attributes["gen_ai.prompt.name"] == "p"
    assert call.attributes["gen_ai.usage.cost"] == 0.3
    assert call.attributes["gen_ai.usage.output_tokens"] == 4
    assert api.batches[0].column(Field(Level.ITEM, "status.message")) == ["boom"]


async def test_types_of_newer_servers_and_unknown_fields() -> None:
    """Observations of any type are read; what nobody knows stays with them."""
    async with serving(FACTORY) as api:
        tool = {"id": ROOT, "traceId": TRACE, "name": "t", "startTime": EARLY, "endTime": SOON, "novelty": [1]}
        await ingest(api, event("tool-create", tool))
        await ingest(api, event("observation-create", {**tool, "id": CALL, "name": "g", "type": "GENERATION"}))
    spans = by_name(api)
    assert spans["t"].attributes["langfuse.observation.type"] == "tool"
    assert spans["t"].attributes["langfuse.observation.novelty"] == "[1]"
    assert spans["g"].attributes["langfuse.observation.type"] == "generation"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"type": "span-create", "body": {}}, "id"),
        ({"id": "x", "type": "span-create", "body": []}, "body: an object"),
        ({"id": "x", "type": "span-delete", "body": {}}, "type: one of"),
        ({"id": "x", "type": None, "body": {}}, "type: one of"),
        ({"id": "x", "type": "span-create", "body": {"startTime": "noon"}}, "body.startTime: a time"),
        ({"id": "x", "type": "span-create", "body": {"name": 5}}, "body.name: a text"),
        ({"id": "x", "type": "score-create", "body": {"name": "n", "value": None}}, "body.value: a number or a text"),
        ({"id": "x", "type": "score-create", "body": {"value": 1}}, "body.name: a text"),
        ({"id": "x" * 1001, "type": "span-create", "body": {}}, "at most 1000 characters"),
        ({"id": "x", "type": "span-create", "body": {"id": "x" * 1001}}, "body.id: at most 1000 characters"),
        ({"id": "x", "type": "span-create", "body": {"traceId": "x" * 1001}}, "body.traceId: at most"),
        ({"id": "x", "type": "span-create", "body": {"input": json.loads("[" * 300 + "]" * 300)}}, "body: at most 254"),
        ("event", "id"),
    ],
)
async def test_wrong_events_are_refused_by_themselves(wrong: Any, said: str) -> None:
    """Each event has its own answer; the others are taken."""
    async with serving(FACTORY) as api:
        right = trace(name="only")
        body = await ingest(api, wrong, right)
        assert body["successes"] == [{"id": right["id"], "status": 201}]
        [error] = body["errors"]
        assert (error["status"], said in error["error"]) == (400, True)
        assert api.running.meter.value("receiver_langfuse_invalid_events") == 1
    assert len(api.spans()) == 1


async def test_envelope_that_is_none_is_400() -> None:
    """What is no list of events is refused whole, and says what would be right."""
    async with serving(FACTORY) as api:
        for body in (b"{", b"[]", b'{"batch": 1}'):
            answer = await api.send("POST", INGEST, body)
            assert answer.status == 400
            assert answer.body["message"]
        assert (await api.send("POST", "/api/public/ingest", b"{}")).status == 404


async def test_scores_of_every_kind() -> None:
    """Numbers, labels and booleans, of observations, traces and sessions, once each."""
    scores = [
        event("score-create", {"name": "n", "value": 0.5, "traceId": TRACE, "observationId": ROOT, "comment": "c"}),
        event("score-create", {"name": "c", "value": "good", "traceId": TRACE, "dataType": "CATEGORICAL"}),
        event("score-create", {"name": "b", "value": 1, "sessionId": "s1", "dataType": "BOOLEAN"}),
    ]
    async with serving(FACTORY) as api:
        for _ in range(2):
            assert len((await ingest(api, *scores))["successes"]) == 3
        [batch] = api.batches
        number, label, boolean = batch.column(Field(Level.ITEM, "attributes"))
        assert isinstance(number, dict)
        assert isinstance(label, dict)
        assert isinstance(boolean, dict)
        assert number["gen_ai.evaluation.score.value"] == 0.5
        assert label["gen_ai.evaluation.score.label"] == "good"
        assert boolean["gen_ai.evaluation.score.label"] == "true"
        assert boolean["session.id"] == "s1"
        assert batch.column(Field(Level.ITEM, "event_name")) == ["gen_ai.evaluation.result"] * 3
        single = await api.post(SCORES, {"id": "own", "name": "n", "value": 1, "traceId": TRACE})
        assert (single.status, single.body) == (200, {"id": "own"})
        mixed = await api.post(SCORES, [{"name": "n", "value": 1}, {"name": "n"}])
        assert mixed.body == {"accepted": 1, "rejected": 1, "errors": [{"message": "body.value: a number or a text"}]}


async def test_scores_without_a_logs_pipeline_are_refused() -> None:
    """They are not taken where nobody would get them; observations are."""
    async with serving(FACTORY, signals=[Signal.TRACES]) as api:
        score = event("score-create", {"name": "n", "value": 1, "traceId": TRACE})
        body = await ingest(api, score, trace(name="only"))
        assert len(body["successes"]) == 1
        assert "no logs pipeline" in body["errors"][0]["error"]


async def test_refusal_of_scores_reaches_the_client() -> None:
    """What the pipelines do not take is not acknowledged; sent again, nothing is there twice."""
    sink = FailingSink([RetryableError("full", retry_after=3.0)])
    async with serving(FACTORY, sink=sink, settle_wait="1h") as api:
        events = [*WHOLE, event("score-create", {"name": "n", "value": 1, "traceId": TRACE})]
        refused = await api.post(INGEST, {"batch": events})
        assert (refused.status, refused.headers["retry-after"]) == (503, "3")
        assert len((await ingest(api, *events))["successes"]) == len(events)
    assert sum(batch.item_count for batch in api.batches) == 3


async def test_what_is_held_goes_on_when_the_pipelines_take_it() -> None:
    """Nobody sends a held trace again: it is offered until it is accepted."""
    sink = FailingSink([RetryableError("full", retry_after=0.01)] * 3)
    async with serving(FACTORY, sink=sink, settle_wait="10ms") as api:
        await ingest(api, *WHOLE)
        await api.running.sink.wait_for_items(2)
        assert api.parts("complete") == len(WHOLE)


async def test_keys_are_checked() -> None:
    """Both keys must be right; whose they are is the tenant, and the project that the SDK is told."""

    def basic(pair: str) -> str:
        return "Basic " + base64.b64encode(pair.encode()).decode()

    async with serving(FACTORY, keys=KEYS, include_metadata=True) as api:
        assert (await api.send("GET", "/api/public/health")).status == 200
        for wrong in ("", "Basic ???", basic("pk-lf-1:sk-lf-2"), "Bearer sk-lf-1"):
            answer = await api.send("GET", "/api/public/projects", authorization=wrong)
            assert answer.status == 401
            assert "sk-lf" not in json.dumps(answer.body)
        right = basic("pk-lf-1:sk-lf-1")
        projects = await api.send("GET", "/api/public/projects", authorization=right)
        assert projects.body["data"][0]["name"] == "northwind"
        await api.post(INGEST, {"batch": WHOLE}, authorization=right)
        assert (await api.send("POST", OTLP, b"", content_type="application/x-protobuf")).status == 401
    assert [batch.context.tenant for batch in api.batches] == ["northwind"]
    assert "lf-1" not in repr([batch.context for batch in api.batches])
    resource = api.batches[0].column(Field(Level.RESOURCE, "attributes"))[0]
    assert resource == {"service.name": "northwind"}


async def test_otlp_in_every_form() -> None:
    """Protobuf and JSON, plain and compressed; a damaged body is 400."""
    async with serving(FACTORY) as api:
        spans = [{"traceId": "1" * 32, "spanId": "2" * 16, "name": "x"}]
        text = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
        plain = await api.send("POST", OTLP, text, content_type="application/json")
        packed = await api.send(
            "POST", OTLP, gzip.compress(text), content_type="application/json", content_encoding="gzip"
        )
        assert (plain.status, packed.status) == (200, 200)
        assert (await api.send("POST", OTLP, b"\xff", content_type="application/x-protobuf")).status == 400


async def test_media_is_answered_and_counted() -> None:
    """The SDK does not fail over media, nor send it; that it was not taken is counted."""
    async with serving(FACTORY) as api:
        given = {"contentType": "image/png", "sha256Hash": "V82mTOrQhpzV+Q3+uwJPS9mpIqrqkdUT3m+j6UnYiSE="}
        answer = await api.post("/api/public/media", given)
        assert answer.body == {"mediaId": "V82mTOrQhpzV-Q3-uwJPS9", "uploadUrl": None}
        assert (await api.send("PATCH", "/api/public/media/V82m", b"{}")).status == 200
        assert (await api.post("/api/public/media", {})).status == 400
        assert api.running.meter.value("receiver_langfuse_discarded_media") == 1


async def test_ten_thousand_observations() -> None:
    """Many observations of few traces are as many spans, and their parts are all counted."""
    async with serving(FACTORY, settle_wait="1h") as api:
        for first in range(1, 10001, 500):
            numbers = range(first, first + 500)
            bodies = [{"id": f"{n:016x}", "traceId": f"{n % 7:032x}", "name": "o", "startTime": EARLY} for n in numbers]
            await ingest(api, *(event("span-create", body) for body in bodies))
            await ingest(api, *(event("span-update", {**body, "endTime": SOON}) for body in bodies))
    assert sum(batch.item_count for batch in api.batches) == len(api.spans()) == 10000
    assert api.parts("complete") == 20000


async def test_too_large_is_413() -> None:
    """A body over the limit is refused, in Langfuse's form."""
    async with serving(FACTORY, max_request_body_size=1000) as api:
        answer = await api.post(INGEST, {"batch": [trace(input="x" * 2000)]})
        assert (answer.status, answer.body["error"]) == (413, "Request Entity Too Large")
