"""What ``normalise`` changes on a span, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.captures import captures
from untrace_pipeline.data import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects import DIALECTS, spoken
from untrace_plugins.genai.dialects.langsmith import from_run
from untrace_plugins.genai.normalise import ALL, Manner, normalise

OPENINFERENCE: dict[str, Value] = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.provider": "azure",
    "llm.token_count.prompt": 3,
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": "hi",
    "http.route": "/x",
}


def after(attributes: Mapping[str, Value], manner: Manner = ALL, error: str | None = None) -> dict[str, Value]:
    changes = normalise(attributes, manner, error=error).values
    return {key: value for key, value in {**attributes, **changes}.items() if value is not None}


def test_canonical_attributes_are_added() -> None:
    """What the dialect said is said in the convention's words; the rest is untouched."""
    found = after(OPENINFERENCE)
    assert found.items() >= OPENINFERENCE.items()
    assert found[names.OPERATION] == "chat"
    assert found[names.PROVIDER] == "azure.ai.openai"
    assert found[names.REQUEST_MODEL] == "gpt-4o"
    assert found[names.USAGE_INPUT] == 3
    assert json.loads(str(found[names.INPUT_MESSAGES])) == [
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
    ]
    assert found[names.DIALECT] == "openinference"


def test_originals_go_where_asked() -> None:
    """What is represented goes, the copy of the whole request too; what is not represented stays."""
    whole = {**OPENINFERENCE, "input.value": '{"messages": [{"role": "user", "content": "hi"}]}'}
    found = after(whole, Manner(removes=frozenset({"openinference"})))
    assert "input.value" not in found
    assert found.keys() & OPENINFERENCE.keys() == {"http.route"}
    assert found[names.USAGE_INPUT] == 3


@pytest.mark.parametrize(
    ("overwrites", "expected"),
    [
        (frozenset[str](), 7),
        (frozenset({"openinference"}), 3),
        (frozenset({"otel_genai", "openinference"}), 3),
        (frozenset({"otel_genai"}), 7),
    ],
)
def test_overwrite(overwrites: frozenset[str], expected: int) -> None:
    """A canonical attribute that is there stays, unless the dialect is to overwrite it."""
    assert after({**OPENINFERENCE, names.USAGE_INPUT: 7}, Manner(overwrites=overwrites))[names.USAGE_INPUT] == expected


def test_no_dialect_no_change() -> None:
    """A span of something else is not touched at all."""
    assert normalise({"http.route": "/x", "db.system": "mysql", "llmx": 1}).values == {}


def test_dialects_that_are_not_read() -> None:
    """``sources`` limits what is read."""
    only = tuple(dialect for dialect in DIALECTS if dialect.name == "langfuse")
    assert normalise(OPENINFERENCE, Manner(dialects=only)).values == {}


def test_values_that_are_not_in_the_form_are_corrected() -> None:
    """Old words, JSON lists, numbers as text: the attribute of that name gets the value that it should have."""
    found = after(
        {
            names.OPERATION: "acompletion",
            names.PROVIDER: "xai",
            names.RESPONSE_FINISH_REASONS: '["tool-calls"]',
            names.USAGE_INPUT: "12",
            names.REQUEST_STREAM: "True",
            names.SYSTEM_INSTRUCTIONS: "be kind",
        }
    )
    assert found[names.OPERATION] == "chat"
    assert found[names.PROVIDER] == "x_ai"
    assert found[names.RESPONSE_FINISH_REASONS] == ["tool_call"]
    assert found[names.USAGE_INPUT] == 12
    assert found[names.REQUEST_STREAM] is True
    assert json.loads(str(found[names.SYSTEM_INSTRUCTIONS])) == [{"type": "text", "content": "be kind"}]


def test_json_that_was_cut_is_kept_and_counted() -> None:
    """A length limit leaves half a document: it is neither text nor lost."""
    cut = '[{"role":"user","parts":[{"type":"te'
    changes = normalise({names.OPERATION: "chat", names.INPUT_MESSAGES: cut})
    assert names.INPUT_MESSAGES not in changes.values
    assert list(changes.malformed) == [names.INPUT_MESSAGES]


def test_names_of_versions() -> None:
    """v1.28, v1.36 and unreleased names are read; the newest wins."""
    found = after(
        {
            names.SYSTEM: "vertex_ai",
            names.OPERATION: "chat",
            "gen_ai.usage.prompt_tokens": 10,
            "gen_ai.usage.completion_tokens": 2,
            "gen_ai.usage.cache_write.input_tokens": 4,
            "gen_ai.openai.request.seed": 7,
            "gen_ai.openai.request.response_format": "json_schema",
            "gen_ai.prompt": "hi",
        }
    )
    assert found[names.PROVIDER] == "gcp.vertex_ai"
    assert (found[names.USAGE_INPUT], found[names.USAGE_OUTPUT], found[names.USAGE_CACHE_CREATION]) == (10, 2, 4)
    assert (found[names.REQUEST_SEED], found[names.OUTPUT_TYPE]) == (7, "json")
    assert names.INPUT_MESSAGES in found


def test_cache_parts_are_included_in_the_input() -> None:
    """An input smaller than its cached part was counted without it."""
    found = after({names.OPERATION: "chat", names.USAGE_INPUT: 5, names.USAGE_CACHE_READ: 100})
    assert found[names.USAGE_INPUT] == 105


@pytest.mark.parametrize("operation", ["invoke_agent", "invoke_workflow", "execute_tool"])
def test_tokens_of_what_is_no_call_are_marked(operation: str) -> None:
    """An agent repeats the tokens of its calls: they count there."""
    assert after({names.OPERATION: operation, names.USAGE_INPUT: 5})[names.DUPLICATE] is True
    assert names.DUPLICATE not in after({names.OPERATION: "chat", names.USAGE_INPUT: 5})


@pytest.mark.parametrize("key", [names.USAGE_COST, "operation.cost"])
def test_cost_of_nothing_is_no_cost(key: str) -> None:
    """Libraries that know no price report 0: unknown is absent."""
    found = after({names.OPERATION: "chat", "logfire.msg": "x", key: 0.0})
    assert names.USAGE_COST not in found
    assert after({names.OPERATION: "chat", "logfire.msg": "x", key: 0.5})[names.USAGE_COST] == 0.5


def test_error_type() -> None:
    """The type of an exception is added where the span has none."""
    assert after({names.OPERATION: "chat"}, error="ValueError")[names.ERROR_TYPE] == "ValueError"
    assert after({names.OPERATION: "chat", names.ERROR_TYPE: "429"}, error="ValueError")[names.ERROR_TYPE] == "429"


def test_openinference_calls_stand_twice() -> None:
    """Anthropic's instrumentation writes a call as a block of the content as well: it is one call."""
    call = {"id": "c1", "function.name": "look", "function.arguments": "{}"}
    message = "llm.output_messages.0.message."
    found = after(
        {
            "openinference.span.kind": "LLM",
            f"{message}role": "assistant",
            f"{message}contents.0.message_content.type": "text",
            f"{message}contents.0.message_content.text": "look",
            f"{message}contents.1.message_content.type": "tool_use",
            **{f"{message}contents.1.tool_call.{key}": value for key, value in call.items()},
            **{f"{message}tool_calls.0.tool_call.{key}": value for key, value in call.items()},
        }
    )
    (answer,) = json.loads(str(found[names.OUTPUT_MESSAGES]))
    assert [part["type"] for part in answer["parts"]] == ["text", "tool_call"]


OPENLIT: dict[str, Value] = {
    names.SYSTEM: "openai",
    names.OPERATION: "chat",
    "gen_ai.application_name": "app",
    "gen_ai.request.is_stream": True,
    "gen_ai.server.time_to_first_token": 0.25,
    "gen_ai.usage.reasoning_tokens": 4,
}
UNTRACE: dict[str, Value] = {
    "llm.operation.type": "chat",
    "llm.provider": "openai",
    "llm.model": "gpt-4o",
    "llm.prompt.tokens": 3,
    "llm.completion.tokens": 4,
    "llm.total.tokens": 7,
    "llm.cost.total": 0.5,
    "llm.messages": '[{"role": "user", "content": "hi"}]',
    "llm.choices": '[{"message": {"role": "assistant", "content": "ho"}, "finish_reason": "stop"}]',
    "workflow.user_id": "u1",
    "workflow.session_id": "s1",
}
LANGSMITH: dict[str, Value] = {
    "langsmith.span.kind": "llm",
    names.OPERATION: "chat",
    names.SYSTEM: "langchain",
    "langsmith.metadata.ls_provider": "anthropic",
    "langsmith.metadata.ls_model_name": "claude-sonnet-4-5",
    "langsmith.metadata.thread_id": "t1",
    "langsmith.metadata.plan": "gold",
    "langsmith.span.tags": "a, b",
    "gen_ai.prompt": '{"messages": [{"role": "user", "content": "hi"}]}',
    "gen_ai.completion": '{"generations": [[{"text": "ho", "generation_info": {"finish_reason": "end_turn"}}]]}',
    "gen_ai.usage.input_tokens": 3,
    "gen_ai.usage.input_token_details": '{"cache_read": 2}',
}
LOGFIRE: dict[str, Value] = {
    "logfire.msg": "Chat completion",
    "request_data": '{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5}',
    "response_data": '{"message": {"role": "assistant", "content": "ho"}, "usage": {"prompt_tokens": 3, '
    '"completion_tokens": 4}}',
}


def test_openlit() -> None:
    """OpenLIT: the convention of its time with additions."""
    found = after(OPENLIT)
    assert (found[names.DIALECT], found[names.PROVIDER]) == ("openlit", "openai")
    assert (found[names.REQUEST_STREAM], found[names.RESPONSE_TIME_TO_FIRST_CHUNK]) == (True, 0.25)
    assert found[names.USAGE_REASONING] == 4


def test_untrace() -> None:
    """Untrace's own SDKs."""
    found = after(UNTRACE)
    assert (found[names.DIALECT], found[names.REQUEST_MODEL]) == ("untrace", "gpt-4o")
    assert (found[names.USAGE_INPUT], found[names.USAGE_OUTPUT], found[names.USAGE_COST]) == (3, 4, 0.5)
    assert (found[names.USER_ID], found[names.SESSION_ID]) == ("u1", "s1")
    (answer,) = json.loads(str(found[names.OUTPUT_MESSAGES]))
    assert answer["finish_reason"] == "stop"


def test_langsmith_over_otlp() -> None:
    """LangSmith's exporter guesses provider and operation; its metadata knows better."""
    found = after(LANGSMITH)
    assert (found[names.DIALECT], found[names.PROVIDER]) == ("langsmith", "anthropic")
    assert (found[names.REQUEST_MODEL], found[names.CONVERSATION_ID]) == ("claude-sonnet-4-5", "t1")
    assert found[names.TAGS] == ["a", "b"]
    assert json.loads(str(found[names.METADATA]))["plan"] == "gold"
    assert found[names.USAGE_CACHE_READ] == 2
    assert found[names.RESPONSE_FINISH_REASONS] == ["stop"]
    (answer,) = json.loads(str(found[names.OUTPUT_MESSAGES]))
    assert answer["parts"] == [{"type": "text", "content": "ho"}]


@pytest.mark.parametrize(
    ("kind", "wrong", "operation", "word"),
    [
        ("retriever", "embeddings", "retrieval", None),
        ("prompt", "chat", None, "prompt"),
        ("chain", "chain", None, "chain"),
    ],
)
def test_langsmith_kinds(kind: str, wrong: str, operation: str | None, word: str | None) -> None:
    """The run type says what a span is, not the operation that the exporter made of it."""
    found = after({"langsmith.span.kind": kind, names.OPERATION: wrong})
    assert (found.get(names.OPERATION), found.get(names.SPAN_KIND)) == (operation, word)


def test_run_of_langsmith() -> None:
    """A run of LangSmith's own API becomes attributes that normalise as its spans do."""
    run = {
        "run_type": "llm",
        "inputs": {"messages": [{"role": "user", "content": "hi"}]},
        "outputs": {
            "choices": [{"message": {"content": "ho"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3},
        },
        "extra": {"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o", "user_id": "u1"}},
        "tags": ["a"],
    }
    found = after(from_run(run))
    assert (found[names.OPERATION], found[names.PROVIDER], found[names.REQUEST_MODEL]) == ("chat", "openai", "gpt-4o")
    assert (found[names.USAGE_INPUT], found[names.USER_ID], found[names.TAGS]) == (3, "u1", ["a"])


def test_logfire() -> None:
    """Logfire keeps requests and answers of provider SDKs whole."""
    found = after(LOGFIRE)
    assert (found[names.OPERATION], found[names.REQUEST_MODEL], found[names.REQUEST_TEMPERATURE]) == (
        "chat",
        "gpt-4o",
        0.5,
    )
    assert (found[names.USAGE_INPUT], found[names.USAGE_OUTPUT]) == (3, 4)


CAPTURED = {
    key.replace("{n}", str(number))
    for capture in captures().values()
    for key in capture.expect["span_attribute_keys"]
    for number in ((0, 1) if "{n}" in key else (0,))
}
DIALECT_NAMES = {dialect.name for dialect in DIALECTS}
KEYS = sorted(
    CAPTURED
    | {key for sample in (OPENINFERENCE, OPENLIT, UNTRACE, LANGSMITH, LOGFIRE) for key in sample}
    | set(names.USAGE)
    | {
        names.OPERATION,
        names.INPUT_MESSAGES,
        names.OUTPUT_MESSAGES,
        names.TOOL_DEFINITIONS,
        names.RESPONSE_FINISH_REASONS,
    }
    | {
        "ai.operationId",
        "ai.prompt",
        "ai.response.toolCalls",
        "langfuse.observation.type",
        "langfuse.observation.output",
    }
    | {"mlflow.spanType", "mlflow.spanInputs", "traceloop.span.kind", "gen_ai.prompt.0.content", "llm.openai.messages"}
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "parts", "type", "messages", "choices", "message", "tool_calls", "function"]
            )
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
VALUES = (
    st.text(max_size=12)
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats()
    | st.booleans()
    | st.lists(st.text(max_size=5), max_size=3)
    | JSON.map(json.dumps)
    | st.sampled_from(["chat", "llm", "tool", "agent", "CHAIN", "ai.generateText", "generation", '"CHAT_MODEL"'])
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), VALUES, max_size=25))
def test_any_attributes(attributes: dict[str, Value]) -> None:
    """Whatever comes, nothing fails; a second time changes nothing; attributes of no dialect stay."""
    changes, _, malformed = normalise(attributes, start=1)
    assert DIALECT_NAMES.isdisjoint(malformed), "a reader failed"
    once = {key: value for key, value in {**attributes, **changes}.items() if value is not None}
    assert normalise(once).values == {}
    assert bool(changes) == bool(spoken(tuple(attributes)))
    for key, value in attributes.items():
        if "." not in key:
            assert once[key] is value


def same(left: Value, right: Value) -> bool:
    return left == right or repr(left) == repr(right)  # NaN is never equal to itself


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8))
@example({"agent_name": "", "gen_ai.completion.1.function_call.arguments": "", "llm.openai.moderation": ""})
def test_canonical_without_its_mark(attributes: dict[str, Value]) -> None:
    """Reading what was normalised once more, as if it were not marked, finds the same."""
    once = after(attributes)
    if names.DIALECT in once:
        unmarked = {key: value for key, value in once.items() if key != names.DIALECT}
        again = after(unmarked)
        assert {key for key in once if not same(once[key], again.get(key))} <= {names.DIALECT, names.USAGE_INPUT}
