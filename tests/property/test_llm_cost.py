"""Whatever a span holds, it is priced or says why not, and none is lost."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import make_batch, make_settings
from untrace_plugins.genai import names
from untrace_plugins.genai.pricing import Prices, Request
from untrace_plugins.genai.pricing.book import PriceBook
from untrace_plugins.genai.pricing.price_file import read_prices
from untrace_plugins.processors.llm_cost import FACTORY

SETTINGS = make_settings(Kind.PROCESSOR, "llm_cost", signals=[Signal.TRACES])
PROCESSORS = [
    FACTORY.create(FACTORY.config.model_validate(options), SETTINGS)
    for options in ({}, {"reported": "prefer", "write": ["genai", "langfuse", "openinference", "posthog", "langwatch"]})
]
FIELDS = [Field(Level.ITEM, name) for name in ("attributes", "start_time_unix_nano", "end_time_unix_nano")]
ABSURD = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.booleans()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.binary(max_size=3)
    | st.lists(st.integers(0, 5), max_size=2)
    | st.dictionaries(st.sampled_from("ab"), st.integers(0, 5), max_size=2)
    | st.just("[" * 3000)
)
MODELS = st.sampled_from(["gpt-4o", "o3", "claude-sonnet-4-5", "gemini-2.5-pro", "own", ""]) | ABSURD
SPANS = st.fixed_dictionaries(
    {},
    optional={
        names.OPERATION: st.sampled_from(["chat", "embeddings", "invoke_agent"]) | ABSURD,
        names.PROVIDER: st.sampled_from(["openai", "anthropic", "gcp.gemini"]) | ABSURD,
        names.RESPONSE_MODEL: MODELS,
        names.REQUEST_MODEL: MODELS,
        names.OPENAI_RESPONSE_SERVICE_TIER: st.sampled_from(["flex", "batch", "default"]) | ABSURD,
        names.SERVER_ADDRESS: st.sampled_from(["api.openai.com", "localhost"]) | ABSURD,
        names.COST_STATUS: st.sampled_from(["ok", "unknown_model"]) | ABSURD,
        names.DUPLICATE: ABSURD,
        names.RESPONSE_TIME_TO_FIRST_CHUNK: ABSURD,
        "operation.cost": ABSURD,
        "langfuse.observation.cost_details": ABSURD,
        **{name: st.integers(0, 10**6) | ABSURD for name in names.USAGE},
    },
)
TIMES = st.sampled_from([0, 1, 2**63, 2**64 - 1]) | st.integers(1_700_000_000 * 10**9, 1_800_000_000 * 10**9)


@settings(max_examples=150, deadline=None)
@given(spans=st.lists(st.tuples(SPANS, TIMES, TIMES), min_size=1, max_size=4))
def test_every_span_comes_out_and_every_call_has_a_status(spans: list[tuple[dict[str, Any], int, int]]) -> None:
    """Nothing raises, no span is dropped, costs are finite, and never 0 for want of knowledge."""
    for processor in PROCESSORS:
        batch = make_batch(items=len(spans))
        for field, column in zip(FIELDS, zip(*spans, strict=True), strict=True):
            batch.set(field, list(column))
        batch = Batch(Signal.TRACES, batch.to_otlp())
        result = processor.process(batch)
        assert result is not None
        after = Batch(Signal.TRACES, result.to_otlp()).column(FIELDS[0])
        assert len(after) == len(spans)
        for given_, now in zip(spans, after, strict=True):
            check(given_[0], now)  # type: ignore[arg-type]


def check(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Check the outcome of one span."""
    operation = before.get(names.OPERATION)
    if not isinstance(operation, str) or operation not in names.LLM_CALLS:
        assert after.keys() <= before.keys()
        return
    status = after[names.COST_STATUS]
    cost = after.get(names.USAGE_COST)
    if before.get(names.COST_STATUS) in ("ok", "reported"):
        assert cost is None
    elif status in {"ok", "reported"}:
        assert isinstance(cost, float)
        assert math.isfinite(cost)
        assert cost >= 0
    else:
        assert cost is None


PRICES = st.sampled_from([0, 1e-06, 2.5e-06, 5, -1, "x", None, True, [1], {}]) | st.floats()
ENTRIES = st.dictionaries(
    st.sampled_from(
        [
            "input_cost_per_token",
            "output_cost_per_token_batches",
            "input_cost_per_token_above_200k_tokens",
            "litellm_provider",
            "model",
            "provider",
            "input",
            "since",
            "steps",
        ]
    ),
    PRICES | st.sampled_from(["openai", "2026-01-01", [{"above": 1, "input": 1}]]),
    max_size=5,
)
FILES = (
    st.text(max_size=40)
    | st.dictionaries(st.text(max_size=5), ENTRIES | PRICES, max_size=3).map(json.dumps)
    | st.lists(ENTRIES | PRICES, max_size=3).map(lambda prices: json.dumps({"prices": prices}))
    | st.sampled_from(["[" * 500, "{" * 500, "a: " * 50, "!!python/object:os.system x", "\x00", "- " * 500])
)


@settings(max_examples=150, deadline=None)
@given(text=FILES)
def test_a_price_file_is_read_or_refused(text: str) -> None:
    """Whatever is in a file, its prices can be looked up, or it is refused with a message of one line."""
    try:
        book = PriceBook(read_prices(text))
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017  both outcomes are right
        return
    Prices((book,), bundled=False).find(Request("openai", "a", None, "batch", None))
