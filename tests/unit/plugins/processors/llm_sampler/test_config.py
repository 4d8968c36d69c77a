"""Options of the LLM sampler."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.processors.llm_sampler.config import LlmSamplerConfig
from untrace_plugins.sampling.config import DecideOn


def test_defaults() -> None:
    """A tenth, all errors, decided when the root has ended."""
    config = LlmSamplerConfig()
    assert config.sampling_percentage == 10
    assert config.keep.errors
    assert config.decide_on is DecideOn.ROOT_END
    assert config.use_tracestate


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling_percentage": 0.05}, "greater than or equal to 0.1"),
        ({"sampling_percentage": 101}, "less than or equal to 100"),
        ({"sampling_percentage": float("nan")}, "finite"),
        ({"keep": {"min_cost": 0}}, "greater than 0"),
        ({"keep": {"conditions": ["nonsense("]}}, "nonsense"),
        ({"rates": [{"sampling_percentage": 5}]}, "at least one of tags, models and conditions"),
        ({"hourly": {"min_traces": 10, "max_traces": 5}}, "max_traces must not be less than min_traces"),
        ({"hourly": {"target_cost": float("inf")}}, "finite"),
        ({"idle_time": "1h", "maximum_trace_age": "1m"}, "maximum_trace_age must not be shorter"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    """With a message that says what is expected."""
    with pytest.raises(ValidationError, match=message.replace("(", r"\(")):
        LlmSamplerConfig.model_validate(options)
