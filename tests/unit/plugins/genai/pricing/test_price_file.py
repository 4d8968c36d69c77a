"""Prices that users bring."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from untrace_plugins.genai.pricing import Prices, Request, Usage
from untrace_plugins.genai.pricing.book import PriceBook
from untrace_plugins.genai.pricing.price_file import read_prices

NOW = 1_764_000_000_000_000_000
YAML = """
prices:
  - {model: our-model, provider: openai, input: 2, output: 8, cache_read: 0.5}
  - {model: "ft:gpt-4o*", input: 3, output: 9}
  - {model: our-model, provider: openai, tier: batch, input: 1, output: 4}
  - {model: new, since: 2025-11-01, input: 5}
  - {model: new, since: 2026-02-01, input: 4}
  - model: long
    input: 1
    output: 2
    request: 0.01
    steps: [{above: 1000, input: 10}]
"""
LITELLM = {
    "sample_spec": {"input_cost_per_token": 0.0, "litellm_provider": "one of …"},
    "gpt-4o": {
        "litellm_provider": "openai",
        "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 1.25e-06,
        "input_cost_per_token_batches": 1.25e-06,
        "output_cost_per_token_batches": 5e-06,
        "mode": "chat",
    },
    "azure/eu/gpt-4o": {"litellm_provider": "azure", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.2e-05},
    "vertex_ai/claude-3": {"litellm_provider": "vertex_ai-anthropic_models", "input_cost_per_token": 3e-06},
    "claude-sonnet": {
        "litellm_provider": "anthropic",
        "input_cost_per_token": 3e-06,
        "output_cost_per_token": 1.5e-05,
        "cache_creation_input_token_cost": 3.75e-06,
        "input_cost_per_token_above_200k_tokens": 6e-06,
        "output_cost_per_token_above_200k_tokens": 2.25e-05,
    },
    "dall-e": {"litellm_provider": "openai", "input_cost_per_pixel": 1e-08, "mode": "image_generation"},
    "odd": {"litellm_provider": "openai", "input_cost_per_token": "free", "output_cost_per_token": -1},
}


def total(text: str, request: Request, usage: Usage, at: int = NOW) -> float | None:
    """Return what a call costs by a file alone, rounded to a millionth of a cent."""
    found = Prices((PriceBook(read_prices(text)),), bundled=False).find(request)
    tariff = found.schedule.at(at) if found is not None else None
    return None if tariff is None else round(tariff.price(usage).total, 8)


def call(provider: str | None, model: str, tier: str | None = None) -> Request:
    """Return a call without a server."""
    return Request(provider, model, None, tier, None)


@pytest.mark.parametrize(
    ("request_", "usage", "expected"),
    [
        (call("openai", "our-model"), Usage(1_000_000, 1_000_000), 10.0),
        (call("OpenAI", "Our-Model"), Usage(1_000_000), 2.0),
        (call("openai", "our-model"), Usage(1_000_000, 0, 1_000_000), 0.5),
        (call("openai", "our-model", "batch"), Usage(1_000_000, 1_000_000), 5.0),
        (call("openai", "our-model", "flex"), Usage(1_000_000, 1_000_000), 10.0),
        (call("anthropic", "our-model"), Usage(1), None),
        (call(None, "ft:gpt-4o-mini:org"), Usage(1_000_000), 3.0),
        (call("any", "long"), Usage(1000), 0.011),
        (call("any", "long"), Usage(1001, 1000), 0.02201),
    ],
)
def test_a_list_of_prices(request_: Request, usage: Usage, expected: float | None) -> None:
    """Entries hold for their provider, tier and model; unnamed parts cost what the others do."""
    assert total(YAML, request_, usage) == expected


def test_prices_hold_from_their_day_on() -> None:
    """An entry with a day does not price the past."""
    days = [datetime(2025, 10, 31, tzinfo=UTC), datetime(2025, 11, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)]
    moments = [int(day.timestamp()) * 1_000_000_000 for day in days]
    assert [total(YAML, call(None, "new"), Usage(1_000_000), at) for at in moments] == [None, 5.0, 4.0]


@pytest.mark.parametrize(
    ("request_", "usage", "expected"),
    [
        (call("openai", "gpt-4o"), Usage(1_000_000, 1_000_000, 400_000), 12.0),
        (call("openai", "gpt-4o", "batch"), Usage(1_000_000, 1_000_000), 6.25),
        (call("azure.ai.openai", "eu/gpt-4o"), Usage(1_000_000), 3.0),
        (call("gcp.vertex_ai", "claude-3"), Usage(1_000_000), 3.0),
        (call("anthropic", "claude-sonnet"), Usage(200_000, 0, 0, 100_000), 0.675),
        (call("anthropic", "claude-sonnet"), Usage(200_001, 1_000), 1.222506),
        (call("openai", "dall-e"), Usage(1), None),
        (call("openai", "odd"), Usage(1), None),
    ],
)
def test_the_list_of_litellm(request_: Request, usage: Usage, expected: float | None) -> None:
    """LiteLLM's file works as it is: tiers, steps, its names of providers, and entries that are not per token."""
    assert total(json.dumps(LITELLM), request_, usage) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prices: 3", "a list of prices"),
        ("", "a list of prices"),
        ("prices: [{model: a}]", "entry 1: an entry needs a price"),
        ("prices: [{model: a, input: 1}, {model: b, input: -1}]", "entry 2: input"),
        ("prices: [{model: a, inptu: 1}]", "entry 1: inptu"),
        ("prices: [\n{model", "line 2: no YAML"),
        ('{"a": ', "line 1: no JSON"),
        ('{"a": {"input_cost_per_token": 1e400}}', "no JSON"),
        ('{"a": {"litellm_provider": "openai"}}', "no model with a price"),
        ("prices: [{model: a, input: .inf}]", "entry 1: input"),
        ('{"": {"input_cost_per_token": 1e-06}}', "'': model"),
        ('{"a": {"input_cost_per_token": 1e-06, "input_cost_per_token_above_0k_tokens": 1e-06}}', "'a': steps.0.above"),
    ],
)
def test_a_wrong_file_says_where(text: str, words: str) -> None:
    """What is wrong is named with its place."""
    with pytest.raises(ValueError, match=words):
        read_prices(text)


def test_options_win_over_the_file_and_both_over_the_catalogue() -> None:
    """Books are asked in order, the bundled prices last."""
    first = PriceBook(read_prices("prices: [{model: gpt-4o, input: 1}]"))
    second = PriceBook(read_prices("prices: [{model: gpt-4o, since: 2020-01-01, input: 2}, {model: gpt-4, input: 3}]"))
    prices = Prices((first, second))

    def input_price(model: str) -> float:
        found = prices.find(call("openai", model))
        tariff = found.schedule.at(NOW) if found else None
        assert tariff is not None
        return tariff.price(Usage(1_000_000)).total

    assert [input_price(model) for model in ("gpt-4o", "gpt-4")] == [1.0, 3.0]
    assert input_price("gpt-4o-mini") == pytest.approx(0.15)


def test_aliases_lead_to_what_is_meant() -> None:
    """A deployment and a gateway cost what the model behind them does."""
    prices = Prices((), model_aliases={"Prod": "gpt-4o"}, provider_aliases={"our-gateway": "openai"})
    found = prices.find(call("our-gateway", "prod"))
    assert found is not None
    assert found[:2] == ("openai", "gpt-4o")


def test_the_request_model_steps_in() -> None:
    """Where the model that answered has no price, the one that was asked for counts."""
    found = Prices(()).find(Request("openai", "snapshot-unheard-of", "gpt-4o", None, None))
    assert found is not None
    assert found.model == "gpt-4o"
