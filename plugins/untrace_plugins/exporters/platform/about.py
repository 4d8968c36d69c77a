"""A destination's file in words."""

from __future__ import annotations

from collections.abc import Iterator

from untrace_pipeline.api import About, format_duration
from untrace_plugins.destinations.model import Check, Destination, Limits, Option, OptionType
from untrace_plugins.genai.names import Form

__all__ = ["about"]

_COMMON = ("endpoint", "form", "encoding", "compression", "long_values", "requests_per_minute")
"""Options of all platforms that have something of their own on each."""
_CHECKS = {
    Check.IDS: "spans whose ids OTLP does not allow are given up before they spoil a request",
    Check.LLM_ONLY: "only LLM spans are sent, the others are counted as filtered",
    Check.CALLS_ONLY: "only calls to models are sent, each once; all other spans are counted as filtered",
}


def about(destination: Destination) -> About:
    """Return what there is to know of a destination."""
    return About(
        title=destination.title,
        category=destination.category.value,
        docs=destination.docs,
        minimal=dict(_minimal(destination)),
        options=(*destination.options, *(["region"] if destination.regions else []), *_COMMON),
        facts=tuple(_facts(destination)),
        look=destination.look,
        notes=tuple(destination.notes),
    )


def _minimal(destination: Destination) -> Iterator[tuple[str, str]]:
    first = {group[0] for group in destination.any_of}
    for name, option in destination.options.items():
        if option.required or name in first:
            yield name, _example(destination, name, option)


def _example(destination: Destination, name: str, option: Option) -> str:
    if option.type is OptionType.SECRET:
        return f"${{env:{destination.name.upper()}_{name.upper()}}}"
    return option.example or (option.choices[0] if option.choices else f"my-{name.replace('_', '-')}")


def _facts(destination: Destination) -> Iterator[tuple[str, str]]:
    for signal, url in destination.urls.items():
        yield str(signal), url
    if destination.regions:
        yield "regions", ", ".join(f"{name} ({url})" for name, url in destination.regions.items())
    else:
        yield "base", destination.base
    for name, templates in destination.headers.items():
        yield f"header {name}", " or ".join(templates)
    for edit in destination.resource:
        yield f"resource attribute {edit.to}", edit.value or f"from {edit.source}"
    if destination.form is not Form.AS_IS:
        yield "form of LLM spans", destination.form.value
    yield "encodings", ", ".join(destination.encodings)
    yield "compression", ", ".join(destination.compressions)
    yield from (("limit", text) for text in _limits(destination.limits))
    if destination.advertised is not None:
        yield "limit", f"what {destination.advertised.url} says, which wins"
    yield from (("check", _CHECKS[check]) for check in destination.checks)
    if destination.rate.requests_per_minute:
        yield "rate", f"{destination.rate.requests_per_minute} requests per minute"
    for status, meaning in destination.answers.meanings.items():
        yield f"HTTP {status}", meaning


def _limits(limits: Limits) -> Iterator[str]:
    units = {
        "request_bytes": "bytes per request, before compression",
        "request_items": "items per request",
        "item_bytes": "bytes per span or record",
        "value_chars": "characters per value of an attribute",
        "value_bytes": "bytes per value of an attribute",
        "name_chars": "characters per name of an attribute",
        "array_items": "elements per attribute that is a list",
    }
    yield from (f"{found:,} {unit}" for name, unit in units.items() if (found := getattr(limits, name)))
    if limits.age:
        yield f"nothing older than {format_duration(limits.age)}"
