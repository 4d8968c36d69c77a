"""What released instrumentations really sent is where each LLM platform looks for it."""

from __future__ import annotations

import pytest

from tests.support.destinations.fields import OTLP, READS, filled
from untrace_pipeline.api import ExporterFactory, Kind
from untrace_pipeline.registry import Registry

pytestmark = pytest.mark.once

KNOWN = {
    "vercel-ai-v5-5.0.277": {
        # Of a stream that was left, only the outer span is sent: it is no call to a model, and has no messages of one.
        "arize": {"model": "23 of 24"},
        "datadog_agent_llm_observability": {"model": "23 of 24"},
        "datadog_llm_observability": {"model": "23 of 24"},
        "helicone": {"model": "23 of 24", "input": "23 of 24"},
        "langfuse": {"input": "23 of 24"},
        "langsmith_runs": {"model": "23 of 24"},
        "phoenix": {"model": "23 of 24"},
        "untrace": {"model": "23 of 24", "input": "23 of 24"},
    },
}
"""What is not there, by capture and platform."""


def test_every_llm_platform_is_in_the_table() -> None:
    """A platform that is added says where it looks."""
    registry = Registry()
    factories = (registry.load(one.kind, one.type_name) for one in registry.installed() if one.is_preset)
    llm = {
        factory.type_name
        for factory in factories
        if isinstance(factory, ExporterFactory) and factory.about and factory.about.category == "LLM platforms"
    }
    assert llm <= READS.keys()
    assert READS.keys() <= set(registry.names(Kind.EXPORTER))


@pytest.mark.parametrize("capture", OTLP)
async def test_fields_are_filled(capture: str) -> None:
    """Model, messages, tools, tokens, cost, session, user and error of each call, with the values that it had."""
    found = await filled(capture)
    assert all(one.have["model"] for one in found.values())
    missing = {platform: gaps for platform, one in found.items() if (gaps := one.missing())}
    assert missing == KNOWN.get(capture, {})
