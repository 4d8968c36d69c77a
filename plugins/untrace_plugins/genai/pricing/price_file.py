"""Files of prices: LiteLLM's JSON, as it maintains it, and a list in YAML with the options of an entry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
import yaml
from pydantic import ValidationError

from untrace_plugins.genai.pricing.entries import PriceEntry

__all__ = ["read_prices"]

_MILLION: Final = 1_000_000
_PRICES: Final = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "reasoning": "output_cost_per_reasoning_token",
}
_TIERS: Final = {"": "", "batch": "_batches", "flex": "_flex", "priority": "_priority"}
"""Our words for service tiers, and what LiteLLM appends to keys for them."""
_ABOVE: Final = re.compile(r"_above_(\d+)k_tokens")
_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""LiteLLM's names of providers that the convention calls otherwise; ``vertex_ai-…`` is handled apart."""
_SAMPLE: Final = "sample_spec"


def read_prices(text: str) -> list[PriceEntry]:
    """Return the entries of a file. Raises ``ValueError`` that says what is wrong, and where."""
    stripped = text.lstrip()
    if stripped.startswith("{"):
        try:
            found: Any = orjson.loads(stripped)
        except orjson.JSONDecodeError as error:
            msg = f"line {error.lineno}: no JSON: {error.msg}"
            raise ValueError(msg) from error
        return list(_litellm(found))
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        msg = f"line {mark.line + 1}: no YAML" if mark is not None else "no YAML"
        raise ValueError(msg) from error
    return list(_listed(found))


def _listed(found: Any) -> Iterator[PriceEntry]:
    entries = found.get("prices") if isinstance(found, Mapping) else found
    if not isinstance(entries, list):
        msg = "a list of prices, under the key prices, or LiteLLM's JSON object is expected"
        raise ValueError(msg)  # noqa: TRY004  it is a file that is wrong, not a caller
    for number, entry in enumerate(entries, 1):
        yield _checked(f"entry {number}", entry)


def _checked(place: str, entry: Any) -> PriceEntry:
    try:
        return PriceEntry.model_validate(entry)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        option = ".".join(str(part) for part in problem["loc"])
        msg = f"{place}{': ' + option if option else ''}: {problem['msg'].removeprefix('Value error, ')}"
        raise ValueError(msg) from error


def _litellm(found: Mapping[str, Any]) -> Iterator[PriceEntry]:
    """Yield one entry per model and service tier; models that are not priced by token are passed over."""
    known = False
    for name, entry in found.items():
        if name == _SAMPLE or not isinstance(entry, dict):
            continue
        for tier, suffix in _TIERS.items():
            prices = _prices(entry, suffix)
            if "input" in prices or "output" in prices:
                known = True
                yield _entry(name, entry, tier, prices)
    if not known:
        msg = "no model with a price: is this LiteLLM's model_prices_and_context_window.json?"
        raise ValueError(msg)


def _entry(name: str, entry: Mapping[str, Any], tier: str, prices: dict[str, float]) -> PriceEntry:
    owner = entry.get("litellm_provider")
    provider = _convention(owner) if isinstance(owner, str) else ""
    model = name.removeprefix("vertex_ai/" if provider == "gcp.vertex_ai" else f"{owner}/")
    named = {"model": model, "provider": provider, "tier": tier}
    request = _number(entry.get("input_cost_per_request")) or 0.0
    return _checked(repr(name), {**named, **prices, "request": request, "steps": [] if tier else [*_steps(entry)]})


def _convention(provider: str) -> str:
    return "gcp.vertex_ai" if provider.startswith("vertex_ai") else _PROVIDERS.get(provider, provider)


def _prices(entry: Mapping[str, Any], suffix: str) -> dict[str, float]:
    found = {ours: _number(entry.get(theirs + suffix)) for ours, theirs in _PRICES.items()}
    return {ours: price * _MILLION for ours, price in found.items() if price is not None}


def _steps(entry: Mapping[str, Any]) -> Iterator[dict[str, float]]:
    sizes = {int(found[1]) for found in map(_ABOVE.search, entry) if found is not None}
    for size in sorted(sizes):
        prices = _prices(entry, f"_above_{size}k_tokens")
        if prices:
            yield {"above": size * 1000, **prices}


def _number(value: object) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MILLION
    return float(value) if fits else None  # type: ignore[arg-type]
