"""Parameters of a request under the names of OpenAI's API, as JSON objects of model parameters have them."""

from __future__ import annotations

from typing import Final

from untrace_pipeline.data import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.span import Span

__all__ = ["PARAMETERS", "parameters"]

PARAMETERS: Final = {
    names.REQUEST_MAX_TOKENS: "max_tokens",
    names.REQUEST_CHOICE_COUNT: "n",
    names.REQUEST_TEMPERATURE: "temperature",
    names.REQUEST_TOP_P: "top_p",
    names.REQUEST_TOP_K: "top_k",
    names.REQUEST_STOP_SEQUENCES: "stop",
    names.REQUEST_FREQUENCY_PENALTY: "frequency_penalty",
    names.REQUEST_PRESENCE_PENALTY: "presence_penalty",
    names.REQUEST_SEED: "seed",
    names.REQUEST_STREAM: "stream",
    names.REQUEST_REASONING_LEVEL: "reasoning_effort",
    names.REQUEST_PREVIOUS_RESPONSE: "previous_response_id",
    names.OPENAI_REQUEST_SERVICE_TIER: "service_tier",
    names.EMBEDDINGS_DIMENSIONS: "dimensions",
}


def parameters(span: Span) -> dict[str, Value]:
    """Return the parameters that the request had."""
    attributes = span.attributes
    return {word: attributes[name] for name, word in PARAMETERS.items() if attributes.get(name) is not None}
