"""Options of the memory limiter."""

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.processors.memory_limiter.config import MemoryLimiterConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "'limit_mib' or 'limit_percentage' must be greater than zero"),
        ({"limit_mib": 10, "check_interval": "0s"}, "greater than 0"),
        ({"limit_mib": 10, "spike_limit_mib": 10}, "'spike_limit_mib' must be smaller"),
        ({"limit_percentage": 101}, "less than or equal to 100"),
        ({"limit_percentage": 50, "spike_limit_percentage": 50}, "'spike_limit_percentage' must be smaller"),
        ({"limit_mib": 10, "min_gc_interval_when_hard_limited": "11s"}, "'min_gc_interval_when_soft_limited' should"),
        ({"limit_mib": 10, "max_gc_interval_when_soft_limited": "9s"}, "max_gc_interval_when_soft_limited' must"),
        (
            {
                "limit_mib": 10,
                "min_gc_interval_when_hard_limited": "5s",
                "max_gc_interval_when_hard_limited": "4s",
            },
            "max_gc_interval_when_hard_limited' must",
        ),
        ({"limit_mib": 10, "max_gc_interval_when_soft_limited": "20s"}, "max_gc_interval_when_soft_limited' should"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], message: str) -> None:
    """What the Collector refuses is refused here."""
    with pytest.raises(ValidationError, match=message):
        MemoryLimiterConfig(**options)


def test_defaults() -> None:
    """Intervals are the Collector's; ``check_interval`` has the value that it advises."""
    config = MemoryLimiterConfig(limit_mib=100)
    assert config.check_interval == 1
    assert (config.min_gc_interval_when_soft_limited, config.min_gc_interval_when_hard_limited) == (10, 0)
    assert (config.max_gc_interval_when_soft_limited, config.max_gc_interval_when_hard_limited) == (30, 30)
