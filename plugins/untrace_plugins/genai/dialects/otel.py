"""OTel GenAI, from v1.28 to what is not released yet: old and new names, and values that are not in the form."""

from __future__ import annotations

from collections.abc import Mapping

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.messages import input_messages, instructions, output_messages
from untrace_plugins.genai.reading import Reading, Table
from untrace_plugins.genai.tools import tool_definitions
from untrace_plugins.genai.values import Convert, boolean, integer, json_text, load, number, text, texts
from untrace_plugins.genai.words import finish_reasons, output_type, provider

__all__ = ["CANONICAL", "VERSIONS", "read"]


def _whole(convert: Convert) -> Convert:
    """Return a converter that leaves JSON alone which a length limit has cut: it is no text."""

    def converted(value: Value) -> Value:
        found = convert(value)
        if found is value or not isinstance(value, str):
            return found
        return None if value[:1] in ("[", "{") and load(value) is None else found

    return converted


CANONICAL: Mapping[str, Convert] = {
    names.PROVIDER: provider,
    names.REQUEST_MODEL: text,
    names.RESPONSE_MODEL: text,
    names.RESPONSE_ID: text,
    names.RESPONSE_FINISH_REASONS: finish_reasons,
    names.REQUEST_STOP_SEQUENCES: texts,
    names.REQUEST_ENCODING_FORMATS: texts,
    names.REQUEST_STREAM: boolean,
    **dict.fromkeys(
        (names.REQUEST_MAX_TOKENS, names.REQUEST_CHOICE_COUNT, names.REQUEST_SEED, names.EMBEDDINGS_DIMENSIONS), integer
    ),
    **dict.fromkeys(
        (
            names.REQUEST_TEMPERATURE,
            names.REQUEST_TOP_P,
            names.REQUEST_TOP_K,
            names.REQUEST_FREQUENCY_PENALTY,
            names.REQUEST_PRESENCE_PENALTY,
            names.RESPONSE_TIME_TO_FIRST_CHUNK,
            names.USAGE_COST,
        ),
        number,
    ),
    **dict.fromkeys(names.USAGE, integer),
    names.INPUT_MESSAGES: _whole(input_messages),
    names.OUTPUT_MESSAGES: _whole(output_messages),
    names.SYSTEM_INSTRUCTIONS: _whole(instructions),
    names.TOOL_DEFINITIONS: tool_definitions,
    **dict.fromkeys((names.RETRIEVAL_DOCUMENTS, names.TOOL_CALL_ARGUMENTS, names.TOOL_CALL_RESULT), json_text),
    names.TAGS: texts,
}
"""What makes the value of a canonical attribute canonical, where instrumentations write it otherwise."""

VERSIONS: Mapping[str, Table] = {
    "1.36": {
        names.SYSTEM: (names.PROVIDER, provider),
        "gen_ai.openai.request.seed": (names.REQUEST_SEED, integer),
        "gen_ai.openai.request.response_format": (names.OUTPUT_TYPE, output_type),
        "gen_ai.openai.request.service_tier": (names.OPENAI_REQUEST_SERVICE_TIER, text),
        "gen_ai.openai.response.service_tier": (names.OPENAI_RESPONSE_SERVICE_TIER, text),
        "gen_ai.openai.response.system_fingerprint": (names.OPENAI_SYSTEM_FINGERPRINT, text),
    },
    "1.28": {
        "gen_ai.usage.prompt_tokens": (names.USAGE_INPUT, integer),
        "gen_ai.usage.completion_tokens": (names.USAGE_OUTPUT, integer),
        "gen_ai.prompt": (names.INPUT_MESSAGES, input_messages),
        "gen_ai.completion": (names.OUTPUT_MESSAGES, output_messages),
    },
    "dev": {
        "gen_ai.usage.cache_write.input_tokens": (names.USAGE_CACHE_CREATION, integer),
    },
    "vendors": {
        "gen_ai.usage.cache_read_input_tokens": (names.USAGE_CACHE_READ, integer),
        "gen_ai.usage.cache_creation_input_tokens": (names.USAGE_CACHE_CREATION, integer),
        "gen_ai.usage.reasoning_tokens": (names.USAGE_REASONING, integer),
        "gen_ai.is_streaming": (names.REQUEST_STREAM, boolean),
        "gen_ai.request.is_stream": (names.REQUEST_STREAM, boolean),
        "gen_ai.openai.system_fingerprint": (names.OPENAI_SYSTEM_FINGERPRINT, text),
        "gen_ai.response.system_fingerprint": (names.OPENAI_SYSTEM_FINGERPRINT, text),
        "gen_ai.request.service_tier": (names.OPENAI_REQUEST_SERVICE_TIER, text),
        "gen_ai.response.service_tier": (names.OPENAI_RESPONSE_SERVICE_TIER, text),
        "gen_ai.request.reasoning_effort": (names.REQUEST_REASONING_LEVEL, text),
        "gen_ai.client.operation.time_to_first_chunk": (names.RESPONSE_TIME_TO_FIRST_CHUNK, number),
        "gen_ai.server.time_to_first_token": (names.RESPONSE_TIME_TO_FIRST_CHUNK, number),
        "gen_ai.user": (names.USER_ID, text),
        "gen_ai.request.user": (names.USER_ID, text),
        "gen_ai.usage.details.reasoning_tokens": (names.USAGE_REASONING, integer),
        "gen_ai.usage.details.cache_read_tokens": (names.USAGE_CACHE_READ, integer),
        "gen_ai.usage.details.cache_write_tokens": (names.USAGE_CACHE_CREATION, integer),
        "anthropic.message.stop_reason": (names.RESPONSE_FINISH_REASONS, finish_reasons),
    },
}
"""Names by the version of the convention that they were in; ``vendors`` have what instrumentations of it add."""


_RENAMED = frozenset(name for table in VERSIONS.values() for name in table)
"""All of their names."""


def read(span: Reading) -> None:
    """Take the canonical attributes first, then those of all versions."""
    span.kind(names.OPERATION)
    if names.OPERATION in span.values:
        span.own.add(names.OPERATION)
    for name in span.attributes.keys() & CANONICAL.keys():
        span.take(name, name, CANONICAL[name])
    if not span.attributes.keys().isdisjoint(_RENAMED):
        for table in VERSIONS.values():
            span.table(table)
