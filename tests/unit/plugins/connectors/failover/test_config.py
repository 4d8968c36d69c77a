"""Options of the failover connector."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.config.loader import load
from untrace_plugins.connectors.failover.config import FailoverConfig


def test_defaults_are_the_collectors() -> None:
    """Ten minutes between attempts to return."""
    config = FailoverConfig.model_validate({"priority_levels": [["traces/a", "traces/b"], ["traces/c"]]})
    assert config.retry_interval == 600
    assert config.references() == {
        "priority_levels.0.0": ("traces/a",),
        "priority_levels.0.1": ("traces/b",),
        "priority_levels.1.0": ("traces/c",),
    }


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "priority_levels"),
        ({"priority_levels": []}, "priority_levels"),
        ({"priority_levels": [[]]}, "priority_levels"),
        ({"priority_levels": [["nothing/a"]]}, "must begin with one of"),
        ({"priority_levels": [["traces"]], "retry_interval": "0s"}, "retry_interval"),
        ({"priority_levels": [["traces"]], "sending_queue": {}}, "keeps no queue"),
        ({"priority_levels": [["traces"]], "sending_queue": {"enabled": True}}, "keeps no queue"),
    ],
)
def test_what_is_refused(options: dict[str, Any], told: str) -> None:
    """No levels, empty ones, and a queue, which would accept what no level has accepted."""
    with pytest.raises(ValidationError, match=told):
        FailoverConfig.model_validate(options)


CONFIG = """
receivers: {otlp: {protocols: {grpc: {}}}}
exporters: {debug: {}}
connectors:
  failover:
    priority_levels: [[traces/a], [traces/b]]
    sending_queue: {enabled: false}
    retry_gap: 30s
    max_retries: 10
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [failover]}
    traces/a: {receivers: [failover], exporters: [debug]}
    traces/b: {receivers: [failover], exporters: [debug]}
"""


def test_older_options_are_taken_with_a_warning() -> None:
    """A Collector's file runs as it is, and says what has no effect."""
    warnings = load([f"yaml:{CONFIG}"]).warnings
    assert [(one.code, one.path.rpartition(".")[2]) for one in warnings] == [
        ("deprecated-option", "retry_gap"),
        ("deprecated-option", "max_retries"),
    ]
