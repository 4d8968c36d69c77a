"""Options of the cost processor."""

from __future__ import annotations

import enum

from untrace_pipeline.api import ComponentConfig
from untrace_plugins.genai.emit.cost import CostForm
from untrace_plugins.genai.pricing.entries import PriceEntry

__all__ = ["LlmCostConfig", "Reported"]


class Reported(enum.StrEnum):
    """What a cost counts for that the instrumentation has put on the span."""

    PREFER = "prefer"
    FALLBACK = "fallback"
    IGNORE = "ignore"


class LlmCostConfig(ComponentConfig):
    """Adds the cost of LLM calls to their spans, in US dollars; `genai_normalizer` goes before it."""

    prices: list[PriceEntry] = []
    """Prices of your own; they win over the bundled ones, and over those of `price_file`."""
    price_file: str = ""
    """A file of prices: YAML with a list `prices`, each as above, or LiteLLM's `model_prices_and_context_window.json`.
    Wins over the bundled prices; a new content is noticed within a second, a broken one leaves the old in force."""
    bundled: bool = True
    """Whether prices of the library genai-prices are used, which come with its release and are never fetched."""
    reported: Reported = Reported.FALLBACK
    """A cost that the instrumentation reported (`gen_ai.usage.cost`, `operation.cost`, `gen_ai.cost.total_cost`,
    `llm.cost.total`, `langfuse.observation.cost_details`, `langwatch.span.cost`): `prefer` takes it, `fallback` only
    where prices or usage are not known, `ignore` never does. A reported 0 counts as unknown."""
    write: list[CostForm] = [CostForm.GENAI, CostForm.UNTRACE]
    """Families of attributes that are written: `genai` (`gen_ai.usage.cost`), `untrace` (`untrace.cost.*`, with parts),
    `openinference` (`llm.cost.*`), `langfuse` (`langfuse.observation.cost_details`), `langwatch`
    (`langwatch.span.cost`), `posthog` (`$ai_total_cost_usd` …). `genai_normalizer` with `emit` writes those of its form
    by itself."""
    derive: bool = True
    """Whether `untrace.tokens_per_second` and, from span events, `gen_ai.response.time_to_first_chunk` are added."""
    model_aliases: dict[str, str] = {}
    """Names of models as spans have them, such as deployments, and what they are: `my-deployment: gpt-4o`."""
    provider_aliases: dict[str, str] = {}
    """Names of providers as spans have them, and who they are: `our-gateway: openai`."""
