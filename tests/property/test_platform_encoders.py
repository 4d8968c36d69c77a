"""Whatever a span says, what is written of it is what the platform takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given

from tests.support.destinations.platforms import PLATFORMS
from tests.support.genai_strategies import canonical_spans, hostile_spans
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Signal, Value
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_pipeline.registry import Registry
from untrace_plugins.exporters.platform.encoders import make_encoder

pytestmark = pytest.mark.once

NAMES = ("datadog_llm_observability", "helicone", "langsmith_runs")


def judged(platform: str, attributes: Mapping[str, Value]) -> object:
    """Return what a platform says to a span with these attributes, failed and not."""
    config: Any = Registry().load(Kind.EXPORTER, platform).config.model_validate(dict(PLATFORMS[platform].options))
    encoder = make_encoder(config)
    reads = PLATFORMS[platform].rules.reads
    assert reads is not None
    found = None
    for status in (0, 2):
        span = NewSpan(b"\1" * 16, b"\2" * 8, "", 5, 3, attributes=attributes, status_code=status)
        batch = Batch(Signal.TRACES, compose_spans({}, Scope(""), [span]))
        encoder.learn(batch, [0])
        body = encoder.encode(batch)
        found = reads(body.path, {"content-type": body.content_type}, body.data)
        assert isinstance(found, Batch), found
        assert found.item_count == 1
    return found


@pytest.mark.parametrize("platform", NAMES)
@given(attributes=canonical_spans)
def test_spans_in_the_canonical_form(platform: str, attributes: Mapping[str, Value]) -> None:
    """Conversations, tools, parameters and counts of any kind."""
    judged(platform, attributes)


@pytest.mark.parametrize("platform", NAMES)
@given(attributes=hostile_spans)
def test_spans_of_any_shape(platform: str, attributes: Mapping[str, Value]) -> None:
    """Values of the wrong types, JSON that is none, messages without a role."""
    judged(platform, attributes)
