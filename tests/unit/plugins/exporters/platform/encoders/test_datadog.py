"""Spans as events of Datadog's LLM Observability."""

from __future__ import annotations

import json
from typing import Any

import pytest

from untrace_pipeline.api import Kind
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_pipeline.delivery import Request
from untrace_pipeline.registry import Registry
from untrace_plugins.exporters.platform.encoders import Encoder, make_encoder
from untrace_plugins.exporters.platform.preparation import Preparation

TRACE = bytes(range(16))
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
AGENT = {"gen_ai.operation.name": "invoke_agent"}


def config(**options: Any) -> Any:
    factory = Registry().load(Kind.EXPORTER, "datadog_llm_observability")
    return factory.config.model_validate({"api_key": "secret", **options})


def span(number: int, parent: int, attributes: dict[str, Any] | None = None) -> NewSpan:
    above = parent.to_bytes(8, "big") if parent else b""
    return NewSpan(
        TRACE, number.to_bytes(8, "big"), f"span {number}", 1, 2, parent_span_id=above, attributes=attributes or {}
    )


def batch(*spans: NewSpan, **resource: Any) -> Batch:
    return Batch(Signal.TRACES, compose_spans({"service.name": "shop", **resource}, Scope("test"), spans))


async def events(encoder: Encoder, *batches: Batch, options: Any = None) -> list[dict[str, Any]]:
    """Return the events that these make, one request after another."""
    preparation = Preparation(options or config(), None, encoder, lambda: 0.0)
    found = []
    for one in batches:
        for request in (await preparation(Request(one, one.item_count))).requests:
            envelopes = json.loads(encoder.encode(request.batch).data)
            found += [event for envelope in envelopes for event in envelope["spans"]]
    return found


async def only(attributes: dict[str, Any], **resource: Any) -> dict[str, Any]:
    (event,) = await events(make_encoder(config()), batch(span(1, 0, attributes), **resource))
    return event


async def test_what_an_example_says() -> None:
    """Kinds, tree, tokens, cost, tools, session, user, the error."""
    found = await events(make_encoder(config()), example_trace(TRACE))
    agent, call, tool, _, failed = found
    assert [event["meta"]["span"]["kind"] for event in found] == ["agent", "llm", "tool", "llm", "llm"]
    assert [event["parent_id"] for event in found] == ["undefined", *[agent["span_id"]] * 4]
    assert agent["trace_id"] == TRACE.hex()
    assert agent["span_id"] == str(int.from_bytes(TRACE[:7] + b"\x01"))
    assert call["metrics"] == {
        "input_tokens": 58,
        "output_tokens": 17,
        "total_tokens": 75,
        "input_cost": 58 * 0.15e-6,
        "output_cost": 17 * 0.6e-6,
        "total_cost": pytest.approx(58 * 0.15e-6 + 17 * 0.6e-6),
    }
    (asked,) = call["meta"]["output"]["messages"][0]["tool_calls"]
    assert (asked["name"], asked["arguments"]) == ("get_weather", {"city": "Lisbon"})
    assert (call["session_id"], call["duration"]) == ("untrace-example-session", 1_000_000_000)
    assert tool["meta"]["input"]["value"] == '{"city": "Lisbon"}'
    assert failed["status"] == "error"
    assert failed["meta"]["error"] == {"type": "RateLimitError", "message": "rate limit reached (an example)"}
    assert {"error:1", "error_type:RateLimitError", "ml_app:untrace-example"} <= set(failed["tags"])
    assert "user_id:untrace-example-user" in call["tags"]


async def test_spans_that_are_not_sent_are_left_out_of_the_tree() -> None:
    """A call below a request below an agent is below the agent; one below a request alone is a root."""
    encoder = make_encoder(config())
    found = await events(encoder, batch(span(1, 0, AGENT), span(2, 1), span(3, 2, CHAT), span(4, 0), span(5, 4, CHAT)))
    assert [(event["span_id"], event["parent_id"]) for event in found] == [
        ("1", "undefined"),
        ("3", "1"),
        ("5", "undefined"),
    ]


async def test_parents_of_other_requests() -> None:
    """What came before is known; what has not come yet may be an agent."""
    encoder = make_encoder(config())
    found = await events(encoder, batch(span(1, 0, AGENT), span(2, 1)), batch(span(3, 2, CHAT), span(4, 9, CHAT)))
    assert [event["parent_id"] for event in found] == ["undefined", "1", "9"]


async def test_the_application_is_the_option_or_the_service() -> None:
    """``ml_app`` wins; without either there is still one."""
    named = config(ml_app="counter")
    (event,) = await events(make_encoder(named), batch(span(1, 0, CHAT)), options=named)
    assert "ml_app:counter" in event["tags"]
    assert "ml_app:shop" in (await only(CHAT))["tags"]
    nameless = Batch(Signal.TRACES, compose_spans({}, Scope("test"), [span(1, 0, CHAT)]))
    (event,) = await events(make_encoder(config()), nameless)
    assert "ml_app:unknown" in event["tags"]


async def test_tags_of_the_application_and_of_its_resource() -> None:
    """``name:value`` as it is, others under ``tag``; environment and version by Datadog's names."""
    tagged = {**CHAT, "untrace.tags": ["tier:gold", "beta"]}
    event = await only(tagged, **{"deployment.environment.name": "prod", "service.version": "7"})
    assert {"tier:gold", "tag:beta", "env:prod", "version:7"} <= set(event["tags"])


async def test_embeddings_and_retrievals_have_documents() -> None:
    """Texts that went in, documents that came out."""
    texts = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "a cat"}]}])
    embedded = await only({**CHAT, "gen_ai.operation.name": "embeddings", "gen_ai.input.messages": texts})
    assert embedded["meta"]["span"]["kind"] == "embedding"
    assert embedded["meta"]["input"] == {"documents": [{"text": "a cat"}]}
    documents = json.dumps([{"id": "d1", "score": 0.5, "content": "about cats"}])
    retrieval = {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.query.text": "cats"}
    retrieved = await only({**retrieval, "gen_ai.retrieval.documents": documents})
    assert retrieved["meta"]["input"] == {"value": "cats"}
    assert retrieved["meta"]["output"]["documents"] == [{"text": "about cats", "id": "d1", "score": 0.5}]


async def test_media_are_named() -> None:
    """An event has 5 MB, which an image would take alone."""
    parts = [
        {"type": "text", "content": "look"},
        {"type": "blob", "modality": "image", "content": "AAAA", "mime_type": "image/png"},
    ]
    event = await only({**CHAT, "gen_ai.input.messages": json.dumps([{"role": "user", "parts": parts}])})
    assert event["meta"]["input"]["messages"] == [{"role": "user", "content": "look\n[image/png]"}]


async def test_what_has_no_other_place_is_metadata_and_content_is_there_once() -> None:
    """Parameters, what the application attached, attributes that no dialect knows; none that one has read."""
    indexed = {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "only once", "llm.request.type": "chat"}
    event = await only({**CHAT, **indexed, "untrace.metadata": '{"plan":"pro"}', "http.route": "/ask"})
    assert event["meta"]["metadata"] == {"plan": "pro", "http.route": "/ask"}
    assert json.dumps(event).count("only once") == 1
