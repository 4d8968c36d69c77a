"""The compiled catalogue says what the library says."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from genai_prices import Usage as LibraryUsage
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot

from untrace_plugins.genai.pricing import Prices, Request, Usage
from untrace_plugins.genai.pricing.catalogue import schedule_of

MODELS = [(provider, model) for provider in get_snapshot().providers for model in provider.models]
NANOSECONDS = 1_000_000_000


def moment(year: int, month: int = 1, day: int = 1, hour: int = 12) -> int:
    """Return a time as nanoseconds since the Unix epoch."""
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp()) * NANOSECONDS


def found(
    provider: str | None, model: str, tier: str | None = None, server: str | None = None
) -> tuple[str, str] | None:
    """Return the provider and model that are found."""
    answer = Prices(()).find(Request(provider, model, None, tier, server))
    return None if answer is None else (answer.provider, answer.model)


@pytest.mark.parametrize("seed", range(8))
def test_every_model_costs_what_the_library_says(seed: int) -> None:
    """For any model, time, tier and size, the compiled price is the library's, to the ninth digit."""
    rng = random.Random(seed)
    for provider, model in rng.sample(MODELS, 300):
        at = moment(rng.randint(2023, 2026), rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23))
        sent, answered = rng.choice([0, 100, 99_999, 150_000, 300_000, 2_000_000]), rng.randint(0, 50_000)
        read = rng.randint(0, sent)
        usage = Usage(sent, answered, read, rng.randint(0, sent - read), rng.randint(0, answered))
        tier = rng.choice([None, "flex", "priority", "batch", "default", "own"])
        context = {} if tier is None else {"service_tier": tier} | ({"processing": tier} if tier == "batch" else {})
        expected = model.calc_price(
            LibraryUsage(
                input_tokens=usage.input,
                output_tokens=usage.output,
                cache_read_tokens=usage.cache_read,
                cache_write_tokens=usage.cache_write,
                output_reasoning_tokens=usage.reasoning,
            ),
            provider,
            genai_request_timestamp=datetime.fromtimestamp(at / NANOSECONDS, UTC),
            price_context=context,
        )
        tariff = schedule_of(provider, model, tier).at(at)
        assert tariff is not None
        cost = tariff.price(usage)
        assert cost.total == pytest.approx(float(expected.total_price), rel=1e-9, abs=1e-15), (provider.id, model.id)
        assert cost.input == pytest.approx(float(expected.input_price), rel=1e-9, abs=1e-15)
        assert cost.output == pytest.approx(float(expected.output_price), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    ("provider", "model", "server", "expected"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", None, ("openai", "gpt-4o-mini")),
        ("OpenAI", "GPT-4o-mini", "api.openai.com", ("openai", "gpt-4o-mini")),
        ("azure.ai.openai", "gpt-4o-2024-08-06", "own.openai.azure.com", ("azure", "gpt-4o")),
        ("x_ai", "grok-4", None, ("x-ai", "grok-4-0709")),
        ("mistral_ai", "mistral-large-latest", None, ("mistral", "mistral-large")),
        ("gcp.vertex_ai", "models/gemini-2.5-flash", None, ("google", "gemini-2.5-flash")),
        ("gcp.gen_ai", "publishers/google/models/gemini-2.5-flash", None, ("google", "gemini-2.5-flash")),
        ("openai", "openai/gpt-4o", "localhost", ("openai", "gpt-4o")),
        ("openai", "ft:gpt-4o-mini-2024-07-18:org::id", None, ("openai", "ft:gpt-4o-mini")),
        (None, "gpt-4o", None, ("openai", "gpt-4o")),
        (None, "text-embedding-3-small", None, ("", "text-embedding-3-small")),  # all who have it ask the same
        # Whose address it is answered, whatever an instrumentation for its API calls it.
        ("openai", "llama-3.3-70b-versatile", "api.groq.com", ("groq", "llama-3.3-70b-versatile")),
    ],
)
def test_models_are_found_by_the_names_of_spans(
    provider: str | None, model: str, server: str | None, expected: tuple[str, str]
) -> None:
    """Names of the convention, of gateways and of fine-tuned models lead to the right price list."""
    assert found(provider, model, None, server) == expected


@pytest.mark.parametrize(
    ("provider", "model", "server"),
    [
        ("openai", "my-own-model", None),
        ("our-gateway", "gpt-4o", None),
        ("openai", "gpt-4o-mini", "api.groq.com"),
        ("ibm.watsonx.ai", "gpt-4o", None),
        (None, "command-r-plus-unheard-of", None),
        (None, "llama-3.3-70b", None),
        (None, "", None),
    ],
)
def test_nothing_is_guessed(provider: str | None, model: str, server: str | None) -> None:
    """A model that its provider does not list has no price, even where another has one of that name."""
    assert found(provider, model, None, server) is None


def test_prices_are_those_of_the_day() -> None:
    """A call of the past costs what it cost then."""
    prices = Prices(())
    answer = prices.find(Request("openai", "o3", None, None, None))
    assert answer is not None
    before, after = (answer.schedule.at(at) for at in (moment(2025, 6, 9), moment(2025, 6, 11)))
    assert before is not None
    assert after is not None
    assert before.price(Usage(input=1_000_000)).total == pytest.approx(10.0)
    assert after.price(Usage(input=1_000_000)).total == pytest.approx(2.0)


def test_steps_count_for_the_whole_call() -> None:
    """A prompt beyond a step makes all its tokens dearer, and those of the answer."""
    answer = Prices(()).find(Request("gcp.gemini", "gemini-2.5-pro", None, None, None))
    assert answer is not None
    tariff = answer.schedule.at(moment(2026))
    assert tariff is not None
    for tokens in (200_000, 200_001):
        expected = calc_price(
            LibraryUsage(input_tokens=tokens, output_tokens=10), "gemini-2.5-pro", provider_id="google"
        ).total_price
        assert tariff.price(Usage(input=tokens, output=10)).total == pytest.approx(float(expected))


def test_names_from_outside_do_not_pile_up() -> None:
    """However many models clients invent, what is remembered has a bound."""
    prices = Prices((), bundled=False)
    for number in range(10_001):
        prices.find(Request("own", f"model-{number}", None, None, None))
    assert len(prices._answers) == 1
