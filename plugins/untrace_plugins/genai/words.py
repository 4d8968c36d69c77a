"""Words of dialects, and the convention's words for them: providers, finish reasons, operations, roles, modalities."""

from __future__ import annotations

from collections.abc import Mapping

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai.names import OPERATIONS, FinishReason, Kind, Operation
from untrace_plugins.genai.values import texts

__all__ = ["finish_reason", "finish_reasons", "operation", "output_type", "provider", "span_kind"]

_PROVIDERS: Mapping[str, str] = {
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "google_vertex": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google_gemini": "gcp.gemini",
    "google_ai_studio": "gcp.gemini",
    "google_genai": "gcp.gen_ai",
    "google.generative_ai": "gcp.gemini",
    "google_generative_ai": "gcp.gemini",
    "google": "gcp.gen_ai",
    "google_gla": "gcp.gemini",
    "az.ai.inference": "azure.ai.inference",
    "azure_ai": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "xai": "x_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "watsonx": "ibm.watsonx.ai",
    "ibm": "ibm.watsonx.ai",
    "watsonx_ai": "ibm.watsonx.ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
    "togetherai": "together_ai",
    "together": "together_ai",
    "huggingface": "hugging_face",
    "perplexity_ai": "perplexity",
    "cohere_chat": "cohere",
    "deep_seek": "deepseek",
}
"""By name in lower case with underscores. Sources: the deprecated values of the convention, the SDKs' own names."""

_KNOWN = frozenset(
    {
        *_PROVIDERS.values(),
        *(
            "openai",
            "anthropic",
            "cohere",
            "groq",
            "deepseek",
            "perplexity",
            "fireworks",
            "ollama",
            "cerebras",
            "replicate",
        ),
    }
)

_FINISH: Mapping[str, FinishReason] = {
    **dict.fromkeys(
        (
            "stop",
            "end_turn",
            "stop_sequence",
            "complete",
            "completed",
            "eos",
            "eos_token",
            "finish",
            "finished",
            "done",
        ),
        FinishReason.STOP,
    ),
    **dict.fromkeys(
        ("length", "max_tokens", "max_output_tokens", "model_context_window_exceeded", "model_length", "token_limit"),
        FinishReason.LENGTH,
    ),
    **dict.fromkeys(("tool_call", "tool_calls", "tool_use", "function_call"), FinishReason.TOOL_CALL),
    **dict.fromkeys(
        (
            "content_filter",
            "content_filtered",
            "refusal",
            "safety",
            "recitation",
            "blocklist",
            "prohibited_content",
            "spii",
            "guardrail_intervened",
        ),
        FinishReason.CONTENT_FILTER,
    ),
    **dict.fromkeys(("error", "failed", "error_toxic", "malformed_function_call"), FinishReason.ERROR),
}

_OPERATIONS: Mapping[str, Operation | Kind] = {
    "llm": Operation.CHAT,
    "chat_model": Operation.CHAT,
    "generation": Operation.CHAT,
    "generate": Operation.CHAT,
    "message": Operation.CHAT,
    "messages": Operation.CHAT,
    "responses": Operation.CHAT,
    "completion": Operation.TEXT_COMPLETION,
    "embedding": Operation.EMBEDDINGS,
    "embed": Operation.EMBEDDINGS,
    "tool": Operation.EXECUTE_TOOL,
    "agent": Operation.INVOKE_AGENT,
    "agent_run": Operation.INVOKE_AGENT,
    "agent_creation": Operation.CREATE_AGENT,
    "retriever": Operation.RETRIEVAL,
    "retrieve": Operation.RETRIEVAL,
    "acompletion": Operation.CHAT,
    "aresponses": Operation.CHAT,
    "atext_completion": Operation.TEXT_COMPLETION,
    "aembedding": Operation.EMBEDDINGS,
    "workflow": Operation.INVOKE_WORKFLOW,
    "chain": Kind.CHAIN,
    "task": Kind.CHAIN,
    "parser": Kind.CHAIN,
    "agent_step": Kind.CHAIN,
    "execute_task": Kind.CHAIN,
    "rerank": Kind.RERANKER,
    "reranker": Kind.RERANKER,
    "guardrail": Kind.GUARDRAIL,
    "evaluator": Kind.EVALUATOR,
    "prompt": Kind.PROMPT,
}

_OUTPUT_TYPES: Mapping[str, str] = {"json_object": "json", "json_schema": "json", "audio": "speech"}


def provider(value: Value) -> str | None:
    """Return the convention's name of a provider: ``openai`` for ``openai.chat``; an unknown one in lower case."""
    if not isinstance(value, str) or not value.strip():
        return None
    plain = value.strip().lower()
    word = plain.replace("-", "_").replace(" ", "_")
    while word:
        if word in _KNOWN or word in _PROVIDERS:
            return _PROVIDERS.get(word, word)
        word = word.rpartition(".")[0]
    return plain


def finish_reason(value: Value) -> str | None:
    """Return the convention's word for why a choice ended; unknown words as they are, empty ones not at all."""
    if not isinstance(value, str) or not value:
        return None
    word = value.rpartition(".")[2].lower().replace("-", "_")
    return _FINISH.get(word, value)


def finish_reasons(value: Value) -> Value:
    """Return the words of a list, a JSON list or one string."""
    found = texts(value)
    if not isinstance(found, list):
        return None
    reasons: list[Value] = [str(reason) for one in found if (reason := finish_reason(one))]
    return reasons or None


def operation(value: Value) -> str | None:
    """Return the operation that a dialect's word for a kind of span means, or ``None`` if the convention has none."""
    if not isinstance(value, str):
        return None
    word = value.lower()
    if word in OPERATIONS:
        return word
    found = _OPERATIONS.get(word)
    return str(found) if isinstance(found, Operation) else None


def span_kind(value: Value) -> str | None:
    """Return the word of :class:`Kind` that a dialect's kind of span means, if no operation does."""
    found = _OPERATIONS.get(value.lower()) if isinstance(value, str) else None
    return str(found) if isinstance(found, Kind) else None


def output_type(value: Value) -> str | None:
    """Return text, json, image or speech for the type of a response format."""
    return _OUTPUT_TYPES.get(value, value) if isinstance(value, str) and value else None
