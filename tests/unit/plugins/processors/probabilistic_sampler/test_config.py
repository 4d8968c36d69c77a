"""Options of the probabilistic sampler."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.processors.probabilistic_sampler.config import ProbabilisticSamplerConfig


@pytest.mark.parametrize(
    "options",
    [
        {"sampling_percentage": -1},
        {"sampling_percentage": 1e-20},
        {"sampling_percentage": "nan"},
        {"sampling_percentage": "inf"},
        {"hash_seed": -1},
        {"hash_seed": 2**32},
        {"mode": "random"},
        {"sampling_precision": 0},
        {"sampling_precision": 15},
        {"attribute_source": "span"},
    ],
)
def test_bounds(options: dict[str, Any]) -> None:
    """What the Collector refuses is refused."""
    with pytest.raises(ValidationError):
        ProbabilisticSamplerConfig.model_validate(options)


def test_defaults_are_the_collectors() -> None:
    """Without options nothing is kept, and errors close."""
    config = ProbabilisticSamplerConfig()
    assert (config.sampling_percentage, config.fail_closed, config.sampling_precision) == (0, True, 4)
    assert ProbabilisticSamplerConfig.model_validate({"sampling_percentage": 150}).sampling_percentage == 150
