"""The resource processor."""

from __future__ import annotations

import pytest

from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Level, Signal, attribute
from untrace_pipeline.testing import make_batch, make_settings
from untrace_plugins.processors.resource import FACTORY

ENV, HOST = attribute("env", Level.RESOURCE), attribute("host.name", Level.RESOURCE)


@pytest.mark.parametrize("signal", Signal)
def test_resources_are_edited_once_each(signal: Signal) -> None:
    """Every resource of every signal gets the actions; items stay as they are."""
    actions = [{"key": "env", "action": "upsert", "value": "prod"}, {"key": "host.name", "action": "delete"}]
    transform = FACTORY.create(
        FACTORY.config.model_validate({"attributes": actions}), make_settings(Kind.PROCESSOR, "resource")
    )
    batch = make_batch(signal, 6, resources=3)
    result = transform.process(batch)
    assert result is not None
    written = Batch(signal, result.to_otlp())
    assert written.column(ENV) == ["prod"] * 3
    assert written.column(HOST) == [None] * 3
    assert written.column(attribute("env")) == [None] * 6


def test_an_empty_request_stays_empty() -> None:
    """No resources, nothing to do."""
    actions = [{"key": "env", "action": "upsert", "value": "prod"}]
    config = FACTORY.config.model_validate({"attributes": actions})
    transform = FACTORY.create(config, make_settings(Kind.PROCESSOR, "resource"))
    result = transform.process(Batch(Signal.TRACES, b""))
    assert result is not None
    assert result.to_otlp() == b""
