"""Options: the Collector's, and what cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.connectors.span_metrics import FACTORY


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"dimensions": [{"name": "a"}, {"name": "a"}]}, "there already"),
        ({"dimensions": [{"name": "span.kind"}]}, "there already"),
        ({"dimensions": [{"name": "a.b"}, {"glob": "a.*"}]}, "there already"),
        ({"dimensions": [{}]}, "either name or glob"),
        ({"dimensions": [{"name": "a", "glob": "b"}]}, "either name or glob"),
        ({"dimensions": [{"glob": "b", "default": "x"}]}, "no default"),
        ({"dimensions": [{"glob": "[b"}]}, "without its"),
        ({"histogram": {"explicit": {}, "exponential": {}}}, "either explicit or exponential"),
        ({"histogram": {"unit": "h"}}, "'ms' or 's'"),
        ({"events": {"enabled": True}}, "at least one"),
        ({"metrics_flush_interval": "0s"}, "greater than 0"),
        ({"metrics_expiration": "-1s"}, "greater than or equal to 0"),
        ({"aggregation_cardinality_limit": -1}, "greater than or equal to 0"),
        ({"aggregation_temporality": "DELTA"}, "AGGREGATION_TEMPORALITY_DELTA"),
    ],
)
def test_refuses(options: dict[str, Any], problem: str) -> None:
    """Each problem is named."""
    with pytest.raises(ValidationError, match=problem):
        FACTORY.config.model_validate(options)


def test_buckets_are_in_the_unit() -> None:
    """Durations become bounds in milliseconds or seconds, ascending."""
    config = FACTORY.config.model_validate({"histogram": {"explicit": {"buckets": ["1s", "100us", "2ms"]}}})
    assert config.histogram.bounds == [0.1, 2.0, 1000.0]
    config = FACTORY.config.model_validate({"histogram": {"unit": "S"}})
    assert config.histogram.bounds[:2] == [0.002, 0.004]
