"""Says what each call to a model cost, and how fast it was answered.

Prices come with the library genai-prices, and from the user; nothing is fetched. A cost that is not known is absent,
never 0, and ``untrace.cost.status`` says why. A call costs a look into a dictionary and a few multiplications; a batch
without calls, one column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Settings, Stability, TransformFactory
from untrace_pipeline.data import Signal
from untrace_plugins.processors.llm_cost.config import LlmCostConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.llm_cost.processor import LlmCost

__all__ = ["FACTORY"]


def _create(config: LlmCostConfig, settings: Settings) -> LlmCost:
    from untrace_plugins.processors.llm_cost.processor import LlmCost  # noqa: PLC0415  imported when created

    return LlmCost(config, settings)


FACTORY = TransformFactory(
    type_name="llm_cost",
    config=LlmCostConfig,
    create=_create,
    description="adds the cost of LLM calls, tokens per second and time to first token",
    signals=frozenset({Signal.TRACES}),
    stability=Stability.BETA,
)
