"""One conversation in every form: exactly what each destination reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from untrace_plugins.genai import names
from untrace_plugins.genai.emit import emit
from untrace_plugins.genai.names import Form, Kind

START = 1_764_000_000_000_000_000
CALL = {"type": "tool_call", "id": "call_1", "name": "look_up", "arguments": {"city": "Paris"}}
IMAGE = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "aGk="}
LLM_CALL: dict[str, Any] = {
    names.OPERATION: "chat",
    names.PROVIDER: "azure.ai.openai",
    names.REQUEST_MODEL: "gpt-4o",
    names.RESPONSE_MODEL: "gpt-4o-2024-08-06",
    names.REQUEST_TEMPERATURE: 0.5,
    names.REQUEST_MAX_TOKENS: 100,
    names.SYSTEM_INSTRUCTIONS: json.dumps([{"type": "text", "content": "Be brief."}]),
    names.INPUT_MESSAGES: json.dumps(
        [
            {"role": "user", "parts": [{"type": "text", "content": "Weather?"}, IMAGE]},
            {"role": "assistant", "parts": [CALL]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": {"c": 21}}]},
        ]
    ),
    names.OUTPUT_MESSAGES: json.dumps(
        [{"role": "assistant", "parts": [{"type": "text", "content": "21 degrees."}], "finish_reason": "stop"}]
    ),
    names.TOOL_DEFINITIONS: json.dumps([{"type": "function", "name": "look_up", "parameters": {"type": "object"}}]),
    names.RESPONSE_FINISH_REASONS: ["stop"],
    names.RESPONSE_TIME_TO_FIRST_CHUNK: 0.25,
    names.USAGE_INPUT: 100,
    names.USAGE_CACHE_READ: 60,
    names.USAGE_OUTPUT: 40,
    names.USAGE_REASONING: 30,
    names.USAGE_COST: 0.03,
    names.COST_INPUT: 0.01,
    names.COST_CACHE_READ: 0.004,
    names.COST_OUTPUT: 0.02,
    names.USER_ID: "u-1",
    names.SESSION_ID: "s-1",
    names.TAGS: ["beta", "eu"],
    names.METADATA: '{"plan":"gold","seats":3}',
    names.DIALECT: "openinference",
}


def out(form: Form, attributes: dict[str, Any] = LLM_CALL) -> dict[str, Any]:
    """Return the attributes as they go out."""
    changed = {**attributes, **emit(form, attributes, START, START + 2_000_000_000)}
    return {name: value for name, value in changed.items() if value is not None}


def unchanged(found: dict[str, Any]) -> set[str]:
    """Return the canonical attributes that are still there."""
    return LLM_CALL.keys() & found.keys()


def test_genai_is_the_canonical_form() -> None:
    """Nothing moves; the provider has its older name too, and the session is the conversation."""
    assert out(Form.GENAI) == {
        **LLM_CALL,
        "gen_ai.system": "azure.ai.openai",
        "gen_ai.conversation.id": "s-1",
    }


def test_openinference_flattens_messages() -> None:
    """Phoenix finds every message, image, call and result where its convention has them."""
    found = out(Form.OPENINFERENCE)
    assert {name: value for name, value in found.items() if name.startswith(("llm.input_messages", "llm.output"))} == {
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "Be brief.",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.contents.0.message_content.type": "text",
        "llm.input_messages.1.message.contents.0.message_content.text": "Weather?",
        "llm.input_messages.1.message.contents.1.message_content.type": "image",
        "llm.input_messages.1.message.contents.1.message_content.image.image.url": "data:image/png;base64,aGk=",
        "llm.input_messages.2.message.role": "assistant",
        "llm.input_messages.2.message.tool_calls.0.tool_call.id": "call_1",
        "llm.input_messages.2.message.tool_calls.0.tool_call.function.name": "look_up",
        "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments": '{"city":"Paris"}',
        "llm.input_messages.3.message.role": "tool",
        "llm.input_messages.3.message.tool_call_id": "call_1",
        "llm.input_messages.3.message.content": '{"c":21}',
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "21 degrees.",
    }


def test_openinference_replaces_what_it_has_words_for() -> None:
    """Counts, cost, parameters and what the application attached have OpenInference's names, and no others."""
    found = out(Form.OPENINFERENCE)
    messages = {name for name in found if "_messages." in name}
    assert {name: value for name, value in found.items() if name not in messages} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "azure.ai.openai",
        "gen_ai.response.time_to_first_chunk": 0.25,
        "openinference.span.kind": "LLM",
        "llm.provider": "azure",
        "llm.system": "openai",
        "llm.model_name": "gpt-4o-2024-08-06",
        "llm.request.model_name": "gpt-4o",
        "llm.response.model_name": "gpt-4o-2024-08-06",
        "llm.invocation_parameters": '{"max_tokens":100,"temperature":0.5}',
        "llm.finish_reason": "stop",
        "llm.token_count.prompt": 100,
        "llm.token_count.prompt_details.cache_read": 60,
        "llm.token_count.completion": 40,
        "llm.token_count.completion_details.reasoning": 30,
        "llm.token_count.total": 140,
        "llm.cost.total": 0.03,
        "llm.cost.prompt": 0.01,
        "llm.cost.prompt_details.cache_read": 0.004,
        "llm.cost.prompt_details.input": 0.006,
        "llm.cost.completion": 0.02,
        "llm.cost.completion_details.output": 0.02,
        "llm.tools.0.tool.json_schema": (
            '{"type":"function","function":{"name":"look_up","parameters":{"type":"object"}}}'
        ),
        "input.value": "Weather?",
        "input.mime_type": "text/plain",
        "output.value": "21 degrees.",
        "output.mime_type": "text/plain",
        "metadata": '{"plan":"gold","seats":3}',
        "tag.tags": ["beta", "eu"],
        "session.id": "s-1",
        "user.id": "u-1",
    }


PROMPTS = {
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be brief.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": (
        '[{"type":"text","text":"Weather?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]'
    ),
    "gen_ai.prompt.2.role": "assistant",
    "gen_ai.prompt.2.tool_calls.0.id": "call_1",
    "gen_ai.prompt.2.tool_calls.0.name": "look_up",
    "gen_ai.prompt.2.tool_calls.0.arguments": '{"city":"Paris"}',
    "gen_ai.prompt.3.role": "tool",
    "gen_ai.prompt.3.tool_call_id": "call_1",
    "gen_ai.prompt.3.content": '{"c":21}',
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "21 degrees.",
    "gen_ai.completion.0.finish_reason": "stop",
}


@pytest.mark.parametrize("form", [Form.GENAI_LEGACY, Form.OPENLLMETRY])
def test_older_forms_number_messages(form: Form) -> None:
    """Messages are under ``gen_ai.prompt.{n}`` and ``gen_ai.completion.{n}``, once."""
    found = out(form)
    numbered = {k: v for k, v in found.items() if k.startswith(("gen_ai.prompt.", "gen_ai.completion."))}
    assert numbered == PROMPTS
    assert not found.keys() & {names.INPUT_MESSAGES, names.OUTPUT_MESSAGES, names.SYSTEM_INSTRUCTIONS, names.DIALECT}


def test_genai_legacy_has_both_names() -> None:
    """Current names of scalars stay; the older ones and LangSmith's stand beside them."""
    found = out(Form.GENAI_LEGACY)
    assert {name: value for name, value in found.items() if name not in LLM_CALL and name not in PROMPTS} == {
        "gen_ai.system": "azure.ai.openai",
        "gen_ai.usage.prompt_tokens": 100,
        "gen_ai.usage.completion_tokens": 40,
        "gen_ai.usage.total_tokens": 140,
        "gen_ai.usage.cache_read_input_tokens": 60,
        "gen_ai.usage.details.reasoning_tokens": 30,
        "langsmith.span.kind": "llm",
        "langsmith.span.tags": "beta,eu",
        "langsmith.metadata.plan": "gold",
        "langsmith.metadata.seats": 3,
        "langsmith.trace.session_id": "s-1",
        "gen_ai.conversation.id": "s-1",
        "respan.customer.identifier": "u-1",
        "respan.customer_params.customer_identifier": "u-1",
        "respan.thread.id": "s-1",
        "respan.threads.thread_identifier": "s-1",
    }
    assert names.USAGE_INPUT in unchanged(found)


def test_openllmetry_speaks_traceloop() -> None:
    """Types, functions, and association properties are OpenLLMetry's."""
    found = out(Form.OPENLLMETRY)
    assert {name: value for name, value in found.items() if name not in LLM_CALL and name not in PROMPTS} == {
        "gen_ai.system": "azure.ai.openai",
        "llm.request.type": "chat",
        "llm.usage.total_tokens": 140,
        "gen_ai.usage.prompt_tokens": 100,
        "gen_ai.usage.completion_tokens": 40,
        "gen_ai.usage.cache_read_input_tokens": 60,
        "gen_ai.usage.reasoning_tokens": 30,
        "llm.request.functions.0.name": "look_up",
        "llm.request.functions.0.parameters": '{"type":"object"}',
        "traceloop.association.properties.session_id": "s-1",
        "traceloop.association.properties.user_id": "u-1",
        "traceloop.association.properties.plan": "gold",
        "traceloop.association.properties.seats": 3,
        "traceloop.association.properties.tags": '["beta","eu"]',
    }


def test_langfuse_gets_what_its_interface_shows() -> None:
    """Messages in the chat API's shape, usage and cost in parts that do not overlap, the moment of the first token."""
    found = out(Form.LANGFUSE)
    own = {name.removeprefix("langfuse."): value for name, value in found.items() if name.startswith("langfuse.")}
    asked = json.loads(own.pop("observation.input"))
    assert [message["role"] for message in asked["messages"]] == ["system", "user", "assistant", "tool"]
    assert asked["tools"][0]["function"]["name"] == "look_up"
    assert own == {
        "observation.type": "generation",
        "observation.model.name": "gpt-4o-2024-08-06",
        "observation.model.parameters": '{"max_tokens":100,"temperature":0.5}',
        "observation.output": '{"role":"assistant","content":"21 degrees."}',
        "observation.usage_details": '{"input":40,"input_cache_read":60,"output":10,"output_reasoning":30,"total":140}',
        "observation.cost_details": '{"input":0.006,"input_cache_read":0.004,"output":0.02,"total":0.03}',
        "observation.completion_start_time": '"2025-11-24T16:00:00.250000+00:00"',
        "trace.tags": ["beta", "eu"],
        "trace.metadata.plan": '"gold"',
        "trace.metadata.seats": "3",
    }
    assert not found.keys() & {names.INPUT_MESSAGES, names.OUTPUT_MESSAGES, names.TOOL_DEFINITIONS}


@pytest.mark.parametrize("form", [form for form in Form if form not in {Form.GENAI, Form.AS_IS}])
def test_platforms_that_add_up_see_no_duplicate(form: Form) -> None:
    """A call that another span counts for brings no tokens and no cost to a platform that would add them."""
    found = out(form, {**LLM_CALL, names.DUPLICATE: True})
    assert not [name for name in found if "usage" in name and name != names.DUPLICATE]
    assert not [name for name in found if "token" in name and name not in {names.REQUEST_MAX_TOKENS, "llm.max_tokens"}]
    assert not [name for name in found if "cost" in name]
    assert found.get("langfuse.observation.type", "span") == "span"


@pytest.mark.parametrize("form", [Form.LANGFUSE, Form.OPENINFERENCE])
def test_messages_of_an_agent_are_not_those_of_a_call(form: Form) -> None:
    """What an agent repeats of its calls stays canonical, and Phoenix gets a preview of it."""
    found = out(form, {**LLM_CALL, names.OPERATION: "invoke_agent"})
    assert found[names.INPUT_MESSAGES] == LLM_CALL[names.INPUT_MESSAGES]
    assert not [name for name in found if name.startswith(("llm.input", "llm.model", "langfuse.observation.input"))]
    if form is Form.OPENINFERENCE:
        assert (found["input.value"], found["openinference.span.kind"]) == ("Weather?", "AGENT")


def test_posthog_sees_a_generation() -> None:
    """Any call to a model is a ``chat``, and no key of another convention decides first."""
    span = {**LLM_CALL, names.OPERATION: "generate_content", "traceloop.entity.path": "a", "ai.operationId": "b"}
    found = out(Form.POSTHOG, span)
    assert found == {
        **{name: value for name, value in LLM_CALL.items() if name != names.DIALECT},
        names.OPERATION: "chat",
        "gen_ai.system": "azure.ai.openai",
        "posthog.distinct_id": "u-1",
        "$ai_session_id": "s-1",
        "$ai_total_cost_usd": 0.03,
        "$ai_input_cost_usd": 0.01,
        "$ai_output_cost_usd": 0.02,
    }


def test_untrace_speaks_its_own_dialect() -> None:
    """Request and answer are where Untrace's server looks for them, with the total that it insists on."""
    found = out(Form.UNTRACE)
    assert [message["role"] for message in json.loads(found["llm.messages"])] == ["system", "user", "assistant", "tool"]
    assert json.loads(found["llm.choices"]) == [
        {"index": 0, "message": {"role": "assistant", "content": "21 degrees."}, "finish_reason": "stop"}
    ]
    scalars = {name: value for name, value in found.items() if name not in LLM_CALL}
    assert {name: value for name, value in scalars.items() if not isinstance(value, str)} == {
        "llm.temperature": 0.5,
        "llm.max_tokens": 100,
        "llm.prompt.tokens": 100,
        "llm.completion.tokens": 40,
        "llm.total.tokens": 140,
        "llm.usage.input_tokens": 100,
        "llm.usage.output_tokens": 40,
        "llm.usage.total_tokens": 140,
        "llm.usage.reason": 30,
        "llm.cost.total": 0.03,
        "llm.cost.prompt": 0.01,
        "llm.cost.completion": 0.02,
        "llm.duration_ms": 2000.0,
    }
    assert found["llm.operation.type"] == "chat"
    assert found["workflow.user_id"] == "u-1"


TOOL = {
    names.OPERATION: "execute_tool",
    names.TOOL_NAME: "look_up",
    names.TOOL_CALL_ARGUMENTS: '{"city":"Paris"}',
    names.TOOL_CALL_RESULT: "21",
}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (
            Form.OPENINFERENCE,
            {
                names.OPERATION: "execute_tool",
                "openinference.span.kind": "TOOL",
                "tool.name": "look_up",
                "input.value": '{"city":"Paris"}',
                "input.mime_type": "application/json",
                "output.value": "21",
                "output.mime_type": "text/plain",
            },
        ),
        (
            Form.OPENLLMETRY,
            {
                names.OPERATION: "execute_tool",
                names.TOOL_NAME: "look_up",
                "traceloop.span.kind": "tool",
                "traceloop.entity.name": "look_up",
                "traceloop.entity.input": '{"city":"Paris"}',
                "traceloop.entity.output": "21",
            },
        ),
        (
            Form.LANGFUSE,
            {
                names.OPERATION: "execute_tool",
                names.TOOL_NAME: "look_up",
                "langfuse.observation.type": "tool",
                "langfuse.observation.input": '{"city":"Paris"}',
                "langfuse.observation.output": "21",
            },
        ),
    ],
)
def test_tools_show_what_they_were_asked(form: Form, expected: dict[str, Any]) -> None:
    """Arguments and result of a tool are the input and output of its span."""
    assert out(form, TOOL) == expected


@pytest.mark.parametrize(
    ("form", "name", "word"),
    [
        (Form.OPENINFERENCE, "openinference.span.kind", "GUARDRAIL"),
        (Form.LANGFUSE, "langfuse.observation.type", "guardrail"),
        (Form.GENAI_LEGACY, "langsmith.span.kind", "chain"),
    ],
)
def test_kinds_beyond_the_convention_keep_their_word(form: Form, name: str, word: str) -> None:
    """What no operation says is said by our own attribute, and translated."""
    assert out(form, {names.SPAN_KIND: Kind.GUARDRAIL.value})[name] == word


def test_messages_and_generic_input_both_arrive() -> None:
    """Where a span has messages and an input besides, one takes the place and the other stays."""
    span = {**LLM_CALL, names.INPUT: "raw"}
    assert out(Form.LANGFUSE, span)[names.INPUT] == "raw"


def test_embedded_texts_are_no_messages() -> None:
    """Phoenix finds texts that were embedded where its convention has them."""
    messages = [{"role": "user", "parts": [{"type": "text", "content": text}]} for text in ("one", "two")]
    span = {names.OPERATION: "embeddings", names.REQUEST_MODEL: "m", names.INPUT_MESSAGES: json.dumps(messages)}
    found = out(Form.OPENINFERENCE, span)
    assert found["openinference.span.kind"] == "EMBEDDING"
    assert {name: value for name, value in found.items() if name.startswith(("embedding.", "llm.input"))} == {
        "embedding.model_name": "m",
        "embedding.embeddings.0.embedding.text": "one",
        "embedding.embeddings.1.embedding.text": "two",
    }


def test_the_preview_is_what_the_user_said() -> None:
    """In a conversation with tools, the question is shown, and not what the model said in between."""
    said = [("user", "Weather?"), ("assistant", "I look it up."), ("system", "Be brief.")]
    messages = [{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in said]
    found = out(Form.OPENINFERENCE, {names.OPERATION: "invoke_agent", names.INPUT_MESSAGES: json.dumps(messages)})
    assert found["input.value"] == "Weather?"


def test_an_answer_of_calls_alone_is_shown() -> None:
    """Phoenix lists what was called where nothing was said."""
    answer = json.dumps([{"role": "assistant", "parts": [CALL]}])
    found = out(Form.OPENINFERENCE, {names.OPERATION: "chat", names.OUTPUT_MESSAGES: answer})
    assert found["output.value"] == '[{"name":"look_up","arguments":{"city":"Paris"}}]'
    assert found["output.mime_type"] == "application/json"


@pytest.mark.parametrize("form", [form for form in Form if form not in {Form.GENAI, Form.AS_IS, Form.POSTHOG}])
def test_parts_without_a_word_keep_the_canonical_message(form: Form) -> None:
    """A part that the convention does not know goes out as far as the form can, and in full beside it."""
    messages = json.dumps([{"role": "user", "parts": [{"type": "own", "what": "ever"}]}])
    assert out(form, {names.OPERATION: "chat", names.INPUT_MESSAGES: messages})[names.INPUT_MESSAGES] == messages


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("broken", ["{", "[]", '[{"role":1}]', "null", 7, "[" * 2000])
def test_broken_messages_stay_where_they_are(form: Form, broken: Any) -> None:
    """What cannot be read is passed on as it came."""
    assert out(form, {names.OPERATION: "chat", names.INPUT_MESSAGES: broken})[names.INPUT_MESSAGES] == broken


DOCUMENTS = json.dumps([{"id": "d1", "score": 0.5, "content": "text", "source": "wiki"}])


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (
            Form.OPENINFERENCE,
            {
                "retrieval.documents.0.document.id": "d1",
                "retrieval.documents.0.document.score": 0.5,
                "retrieval.documents.0.document.content": "text",
                "retrieval.documents.0.document.metadata": '{"source":"wiki"}',
            },
        ),
        (Form.LANGFUSE, {"langfuse.observation.output": DOCUMENTS}),
        (Form.OPENLLMETRY, {names.RETRIEVAL_DOCUMENTS: DOCUMENTS}),
        (Form.UNTRACE, {names.RETRIEVAL_DOCUMENTS: DOCUMENTS}),
    ],
)
def test_documents_of_a_retrieval(form: Form, expected: dict[str, Any]) -> None:
    """Documents are the output of the span, flattened where the form does that."""
    found = out(form, {names.OPERATION: "retrieval", names.RETRIEVAL_DOCUMENTS: DOCUMENTS})
    assert expected.items() <= found.items()
    assert (names.RETRIEVAL_DOCUMENTS in found) == (names.RETRIEVAL_DOCUMENTS in expected)
