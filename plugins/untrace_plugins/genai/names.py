"""Names of the canonical form: OTel GenAI v1.41, and what the pipeline adds where the convention has no word.

Messages, instructions, definitions, documents, arguments and results are JSON *strings* on spans, in the shapes of the
convention's schemas. Token counts are integers; parts (cache, reasoning) are included in input and output.
"""

from __future__ import annotations

import enum
from typing import Final

__all__ = [
    "JSON_ATTRIBUTES",
    "LLM_CALLS",
    "OPERATIONS",
    "USAGE",
    "FinishReason",
    "Form",
    "Kind",
    "Operation",
    "is_llm_call",
]

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
SYSTEM: Final = "gen_ai.system"
"""The provider's name until v1.36."""

REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE: Final = "gen_ai.request.previous_response.id"

RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"

USAGE_INPUT: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_CREATION: Final = "gen_ai.usage.cache_creation.input_tokens"
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
USAGE_COST: Final = "gen_ai.usage.cost"
USAGE_CACHE_CREATION_5M: Final = "untrace.usage.cache_creation.5m.input_tokens"
"""Of the cache creation, what is kept for five minutes; Anthropic has a price for each."""
USAGE_CACHE_CREATION_1H: Final = "untrace.usage.cache_creation.1h.input_tokens"
USAGE_ESTIMATED: Final = "untrace.usage.estimated"
"""True if the tokens are a guess from the length of the texts, because the provider reported none."""

USAGE: Final = (USAGE_INPUT, USAGE_OUTPUT, USAGE_CACHE_READ, USAGE_CACHE_CREATION, USAGE_REASONING)
"""The token counts."""

INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"

OUTPUT_TYPE: Final = "gen_ai.output.type"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
AGENT_NAME: Final = "gen_ai.agent.name"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"

TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"

EMBEDDINGS_DIMENSIONS: Final = "gen_ai.embeddings.dimension.count"
EMBEDDINGS_COUNT: Final = "untrace.embeddings.count"
"""How many vectors came back."""
RETRIEVAL_QUERY: Final = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"
RETRIEVAL_TOP_K: Final = "gen_ai.retrieval.top_k"

EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE: Final = "gen_ai.evaluation.score.value"
EVALUATION_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"

SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
HTTP_METHOD: Final = "http.request.method"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_RESPONSE_HEADER: Final = "http.response.header."
"""And the name of the header in lower case: a list of its values."""
URL_PATH: Final = "url.path"
ERROR_TYPE: Final = "error.type"
OPENAI_API_TYPE: Final = "openai.api.type"
OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
OPENAI_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"

SESSION_ID: Final = "session.id"
USER_ID: Final = "user.id"
TAGS: Final = "untrace.tags"
"""List of strings that the application attached."""
METADATA: Final = "untrace.metadata"
"""JSON object that the application attached."""
INPUT: Final = "untrace.input"
"""Input of a span that is no LLM call (chain, workflow, agent), JSON or text."""
OUTPUT: Final = "untrace.output"
"""Its output."""
SPAN_KIND: Final = "untrace.span.kind"
"""A :class:`Kind`, only where no operation of the convention says it."""
DIALECT: Final = "untrace.dialect"
"""The dialect that the span was written in; a span that has it is in the canonical form."""
DUPLICATE: Final = "untrace.usage.duplicate"
"""True on a span whose tokens and cost another span of the same call has; absent on the one that counts."""

PROXY_UPSTREAM: Final = "untrace.proxy.upstream"
"""The upstream, by its name in the configuration, that answered a call through the proxy, or was tried last."""
PROXY_ATTEMPTS: Final = "untrace.proxy.attempts"
"""How many requests the call took, over all upstreams."""
CAPTURE_TRUNCATED: Final = "untrace.capture.truncated"
"""True if a body was larger than what is kept of one: content may be missing."""
CAPTURE_UNREADABLE: Final = "untrace.capture.unreadable"
"""Which bodies could not be read, or not all of them: request, response."""
INCOMPLETE: Final = "untrace.incomplete"
"""True on a span that was sent on before its end, or without its begin, was known."""

COST_INPUT: Final = "untrace.cost.input"
COST_OUTPUT: Final = "untrace.cost.output"
COST_CACHE_READ: Final = "untrace.cost.cache_read"
COST_CACHE_WRITE: Final = "untrace.cost.cache_write"
COST_REASONING: Final = "untrace.cost.reasoning"
COST_TOTAL: Final = "untrace.cost.total"
COST_STATUS: Final = "untrace.cost.status"
TOKENS_PER_SECOND: Final = "untrace.tokens_per_second"

JSON_ATTRIBUTES: Final = frozenset(
    {
        INPUT_MESSAGES,
        OUTPUT_MESSAGES,
        SYSTEM_INSTRUCTIONS,
        TOOL_DEFINITIONS,
        RETRIEVAL_DOCUMENTS,
        TOOL_CALL_ARGUMENTS,
        TOOL_CALL_RESULT,
        METADATA,
    }
)
"""Attributes whose value is a JSON string."""


class Operation(enum.StrEnum):
    """Values of ``gen_ai.operation.name``."""

    CHAT = "chat"
    GENERATE_CONTENT = "generate_content"
    TEXT_COMPLETION = "text_completion"
    EMBEDDINGS = "embeddings"
    RETRIEVAL = "retrieval"
    EXECUTE_TOOL = "execute_tool"
    CREATE_AGENT = "create_agent"
    INVOKE_AGENT = "invoke_agent"
    INVOKE_WORKFLOW = "invoke_workflow"


OPERATIONS: Final = frozenset(operation.value for operation in Operation)

LLM_CALLS: Final = frozenset(
    {Operation.CHAT, Operation.GENERATE_CONTENT, Operation.TEXT_COMPLETION, Operation.EMBEDDINGS}
)
"""Operations that reach a model: a span with one of them is an LLM call."""


def is_llm_call(operation: object) -> bool:
    """Return whether a value of ``gen_ai.operation.name``, of whatever type it came, is that of an LLM call."""
    return isinstance(operation, str) and operation in LLM_CALLS


class Kind(enum.StrEnum):
    """Values of ``untrace.span.kind``: what ``gen_ai.operation.name`` has no word for."""

    CHAIN = "chain"
    RERANKER = "reranker"
    GUARDRAIL = "guardrail"
    EVALUATOR = "evaluator"
    PROMPT = "prompt"


class FinishReason(enum.StrEnum):
    """Values of ``gen_ai.response.finish_reasons``; others are kept as they are."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALL = "tool_call"
    ERROR = "error"


class Form(enum.StrEnum):
    """Forms that a span can go out in."""

    GENAI = "genai"
    GENAI_LEGACY = "genai_legacy"
    OPENINFERENCE = "openinference"
    OPENLLMETRY = "openllmetry"
    LANGFUSE = "langfuse"
    POSTHOG = "posthog"
    UNTRACE = "untrace"
    AS_IS = "as_is"
