"""Options of tail sampling."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.api import Acceptance
from untrace_plugins.processors.tail_sampling.config import TailSamplingConfig
from untrace_plugins.sampling.config import DecideOn

ALWAYS = {"name": "all", "type": "always_sample"}


def check(*policies: dict[str, Any], **options: Any) -> TailSamplingConfig:
    return TailSamplingConfig.model_validate({"policies": list(policies), **options})


def test_defaults_are_the_collectors() -> None:
    """Times, sizes and modes."""
    config = check(ALWAYS)
    assert (config.decision_wait, config.decision_wait_after_root_received, config.num_traces) == (30, 0, 50000)
    assert config.decide_on is DecideOn.WAIT
    assert not config.block_on_overflow
    assert config.remembered == (50000, 50000)
    assert config.references() == {}
    assert config.acceptance() is Acceptance.IN_MEMORY


def test_a_storage_is_named_and_makes_durable() -> None:
    """As validation wants to know."""
    config = check(ALWAYS, storage="file_storage/x")
    assert config.references() == {"storage": ("file_storage/x",)}
    assert config.acceptance() is Acceptance.ON_DISK


def policy(type_: str, **options: Any) -> dict[str, Any]:
    return {"name": "p", "type": type_, type_: options}


@pytest.mark.parametrize(
    ("policies", "options", "message"),
    [
        ([], {}, "at least 1 item"),
        ([{"type": "always_sample"}], {}, "every policy needs a name"),
        ([ALWAYS, ALWAYS], {}, "two policies have the name 'all'"),
        ([{"name": "p", "type": "nonsense"}], {}, "always_sample"),
        ([{"name": "p", "type": "string_attribute"}], {}, "needs its options under string_attribute"),
        ([policy("numeric_attribute", key="a")], {}, "at least one of min_value and max_value"),
        ([policy("status_code", status_codes=[])], {}, "at least 1 item"),
        ([policy("status_code", status_codes=["BAD"])], {}, "UNSET"),
        ([policy("string_attribute", key="a", values=["("], enabled_regex_matching=True)], {}, "no regular expression"),
        ([policy("ottl_condition")], {}, "at least one condition"),
        ([policy("ottl_condition", span=["nonsense("])], {}, "nonsense"),
        ([policy("and", and_sub_policy=[])], {}, "at least 1 item"),
        ([policy("and", and_sub_policy=[policy("drop", drop_sub_policy=[ALWAYS])])], {}, "cannot be part of another"),
        ([policy("latency", upper_threshold_ms=5)], {"sampling_strategy": "span-ingest"}, "needs whole traces"),
        ([policy("not", not_sub_policy=policy("rate_limiting"))], {"sampling_strategy": "span-ingest"}, "whole traces"),
        ([ALWAYS], {"decision_wait": "-1s"}, "greater than or equal to 0"),
        ([ALWAYS], {"num_traces": 0}, "greater than or equal to 1"),
        ([ALWAYS], {"idle_time": "2h", "maximum_trace_age": "1h"}, "maximum_trace_age must not be shorter"),
        ([ALWAYS], {"tail_storage": "x"}, "not permitted"),
    ],
)
def test_what_is_refused(policies: list[dict[str, Any]], options: dict[str, Any], message: str) -> None:
    """With a message that says what is expected."""
    with pytest.raises(ValidationError, match=message):
        check(*policies, **options)


def test_those_that_drop_are_asked_first() -> None:
    """The others in their order."""
    drop = {"name": "drop", "type": "drop", "drop": {"drop_sub_policy": [ALWAYS]}}
    assert [one.name for one in check(ALWAYS, drop).ordered()] == ["drop", "all"]


@pytest.mark.parametrize(
    ("options", "interval"),
    [
        ({}, 1.0),
        ({"decision_wait": "1s"}, 0.2),
        ({"decision_wait": "10ms"}, 0.01),
        ({"decision_wait": "0s"}, 0.01),
        ({"decision_wait_after_root_received": "2s"}, 0.4),
        ({"decide_on": "idle", "idle_time": "1h"}, 1.0),
        ({"decide_on": "root_end", "decision_wait_after_root_received": "500ms"}, 0.1),
    ],
)
def test_short_waits_are_looked_at_often(options: dict[str, Any], interval: float) -> None:
    """Once a second is enough for the others, as in the Collector."""
    assert check(ALWAYS, **options).interval == pytest.approx(interval)
