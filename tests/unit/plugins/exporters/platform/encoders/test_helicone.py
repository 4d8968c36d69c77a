"""Calls as Helicone logs them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from untrace_pipeline.api import Kind, PermanentError
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_pipeline.delivery import DELIVERED, Request
from untrace_pipeline.net.http_answer import Answer
from untrace_pipeline.registry import Registry
from untrace_plugins.exporters.platform.encoders import Body, make_encoder
from untrace_plugins.exporters.platform.preparation import Preparation

TRACE = bytes(range(16))
CONFIG: Any = Registry().load(Kind.EXPORTER, "helicone").config.model_validate({"api_key": "secret"})
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
CLAUDE = {**CHAT, "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5"}
ANSWER = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "Hi."}], "finish_reason": "stop"}])


def asked(*parts: dict[str, Any], role: str = "user") -> dict[str, str]:
    return {"gen_ai.input.messages": json.dumps([{"role": role, "parts": list(parts)}])}


async def logs(*batches: Batch) -> tuple[list[Body], int]:
    """Return what is sent of batches, and how many spans are left out."""
    encoder = make_encoder(CONFIG)
    preparation = Preparation(CONFIG, None, encoder)
    prepared = [await preparation(Request(one, one.item_count)) for one in batches]
    found = [encoder.encode(request.batch) for one in prepared for request in one.requests]
    return found, sum(one.filtered for one in prepared)


async def log(attributes: dict[str, Any], **more: Any) -> tuple[str, dict[str, Any]]:
    """Return path and log of one call of 1.5 s."""
    one = NewSpan(TRACE, b"\1" * 8, "chat", 2_250_000_000, 3_750_000_000, attributes=attributes, **more)
    request = compose_spans({"service.name": "shop"}, Scope("test"), [one])
    (found,), _ = await logs(Batch(Signal.TRACES, request))
    return found.path, json.loads(found.data)


async def test_calls_alone_are_logged_each_by_itself() -> None:
    """Agents and tools are left out and counted; so is a call that another span counts for."""
    found, filtered = await logs(example_trace(TRACE))
    assert (len(found), filtered) == (3, 2)
    twice = NewSpan(TRACE, b"\2" * 8, "chat", 1, 2, attributes={**CHAT, "untrace.usage.duplicate": True})
    found, filtered = await logs(Batch(Signal.TRACES, compose_spans({}, Scope("test"), [twice])))
    assert (found, filtered) == ([], 1)


async def test_a_call_of_openai() -> None:
    """Request, answer with usage and cost, timing, for whom: as if the provider had been asked through Helicone."""
    (first, *_), _ = await logs(example_trace(TRACE))
    found = json.loads(first.data)
    assert first.path == "/oai/v1/log"
    request, response = found["providerRequest"], found["providerResponse"]
    assert request["url"] == "custom-model-nopath"
    assert request["json"] == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "What is the weather in Lisbon?"}],
        "temperature": 0.2,
    }
    assert request["meta"]["Helicone-User-Id"] == "untrace-example-user"
    assert request["meta"]["Helicone-Session-Id"] == "untrace-example-session"
    assert response["status"] == 200
    assert response["json"]["usage"] == {"prompt_tokens": 58, "completion_tokens": 17, "total_tokens": 75}
    assert response["json"]["choices"][0]["finish_reason"] == "tool_calls"
    assert response["cost"] == pytest.approx(58 * 0.15e-6 + 17 * 0.6e-6)


async def test_the_same_call_has_the_same_request_id() -> None:
    """Retries and replays are seen as what they are."""
    _, first = await log(CHAT)
    _, again = await log(CHAT)
    name = "Helicone-Request-Id"
    assert first["providerRequest"]["meta"][name] == again["providerRequest"]["meta"][name]
    assert first["providerRequest"]["meta"][name] == "00010203-0405-0607-0101-010101010101"


async def test_a_call_of_anthropic() -> None:
    """Blocks, the system's text beside the messages, tools with schemas, tokens without those of the cache."""
    tools = json.dumps([{"type": "function", "name": "get", "description": "gets", "parameters": {"type": "object"}}])
    path, found = await log(
        {
            **CLAUDE,
            **asked({"type": "tool_call_response", "id": "t1", "response": {"ok": True}}, role="tool"),
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
            "gen_ai.output.messages": ANSWER,
            "gen_ai.tool.definitions": tools,
            "gen_ai.request.stop_sequences": ["END"],
            "gen_ai.usage.input_tokens": 30,
            "gen_ai.usage.cache_read.input_tokens": 20,
            "gen_ai.usage.output_tokens": 4,
        }
    )
    assert path == "/anthropic/v1/log"
    request, response = found["providerRequest"]["json"], found["providerResponse"]["json"]
    assert request["system"] == "Be brief."
    result = {"type": "tool_result", "tool_use_id": "t1", "content": '{"ok":true}'}
    assert request["messages"] == [{"role": "user", "content": [result]}]
    assert request["tools"] == [{"name": "get", "description": "gets", "input_schema": {"type": "object"}}]
    assert request["stop_sequences"] == ["END"]
    assert response["content"] == [{"type": "text", "text": "Hi."}]
    assert response["stop_reason"] == "end_turn"
    assert response["usage"] == {"input_tokens": 10, "cache_read_input_tokens": 20, "output_tokens": 4}


@pytest.mark.parametrize(
    ("provider", "path"),
    [("azure.ai.openai", "/oai/v1/log"), ("gcp.gemini", "/custom/v1/log"), ("aws.bedrock", "/custom/v1/log")],
)
async def test_other_providers_are_custom(provider: str, path: str) -> None:
    """In OpenAI's form, which Helicone reads there."""
    found_path, found = await log({**CHAT, "gen_ai.provider.name": provider, "gen_ai.output.messages": ANSWER})
    assert found_path == path
    assert found["providerResponse"]["json"]["choices"][0]["message"]["content"] == "Hi."


async def test_time_to_the_first_token_of_a_stream() -> None:
    """Helicone shows it of streams alone, and those it reads chunk by chunk: the answer is one."""
    streamed = {**CHAT, "gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": 0.25}
    _, found = await log({**streamed, "gen_ai.output.messages": ANSWER, "gen_ai.usage.input_tokens": 3})
    assert found["timing"] == {
        "startTime": {"seconds": 2, "milliseconds": 250},
        "endTime": {"seconds": 3, "milliseconds": 750},
        "timeToFirstToken": 250,
    }
    assert found["providerRequest"]["json"]["stream"] is True
    (chunk,) = found["providerResponse"]["json"]["streamed_data"]
    assert chunk["object"] == "chat.completion.chunk"
    assert chunk["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}]
    assert chunk["usage"]["prompt_tokens"] == 3


async def test_streams_of_claude_are_answers() -> None:
    """Of Claude's models Helicone expects the events of Anthropic's streams, wherever they run."""
    _, found = await log({**CLAUDE, "gen_ai.provider.name": "aws.bedrock", "gen_ai.request.stream": True})
    assert "stream" not in found["providerRequest"]["json"]
    assert "streamed_data" not in found["providerResponse"]["json"]


@pytest.mark.parametrize(("status", "logged"), [(429, 429), (200, 500), (None, 500)])
async def test_failed_calls(status: int | None, logged: int) -> None:
    """The provider's status, if it is one of an error, and what it said."""
    attributes = {**CHAT, "error.type": "RateLimitError", **({"http.response.status_code": status} if status else {})}
    _, found = await log(attributes, status_code=2, status_message="slow down")
    assert found["providerResponse"]["status"] == logged
    assert found["providerResponse"]["json"] == {"error": {"message": "slow down", "type": "RateLimitError"}}


async def test_properties_are_fit_for_headers() -> None:
    """Helicone makes headers of them: names are tokens, values ASCII in one line; JSON stays JSON."""
    metadata = {"plan name": "pro", "city": "München\nSüd", "nested": {"a": 1}, "empty": "", "none": None}
    _, found = await log({**CHAT, "untrace.metadata": json.dumps(metadata), "untrace.tags": ["a", "b"]})
    meta = found["providerRequest"]["meta"]
    assert meta["Helicone-Property-plan-name"] == "pro"
    assert meta["Helicone-Property-city"] == "M%C3%BCnchen S%C3%BCd"
    assert meta["Helicone-Property-nested"] == '{"a":1}'
    assert meta["Helicone-Property-tags"] == "a, b"
    assert meta["Helicone-Property-service"] == "shop"
    assert not {"Helicone-Property-empty", "Helicone-Property-none"} & meta.keys()


async def test_embeddings_and_completions() -> None:
    """Texts in; of embeddings only what they took comes out, of completions a text."""
    _, found = await log(
        {
            **CHAT,
            "gen_ai.operation.name": "embeddings",
            **asked({"type": "text", "content": "a cat"}),
            "gen_ai.usage.input_tokens": 2,
        }
    )
    assert found["providerRequest"]["json"] == {"model": "gpt-4o-mini", "input": ["a cat"]}
    assert found["providerResponse"]["json"]["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    _, found = await log(
        {
            **CHAT,
            "gen_ai.operation.name": "text_completion",
            **asked({"type": "text", "content": "Once"}),
            "gen_ai.output.messages": ANSWER,
        }
    )
    assert found["providerRequest"]["json"]["prompt"] == "Once"
    assert found["providerResponse"]["json"]["choices"] == [{"index": 0, "text": "Hi.", "finish_reason": "stop"}]


def test_an_answer_of_success_that_is_none() -> None:
    """Helicone says 200 and why it could not store a call; the reason goes into the dead letter, not into logs."""
    encoder, batch = make_encoder(CONFIG), example_trace()
    assert encoder.read(batch, Answer(200, "text/plain", b"ok")) is DELIVERED
    assert encoder.read(batch, Answer(200, "application/json", b"{not json")) is DELIVERED
    with pytest.raises(PermanentError) as caught:
        encoder.read(batch, Answer(200, "application/json", b'{"error":"no such table"}'))
    assert caught.value.detail == "no such table"
