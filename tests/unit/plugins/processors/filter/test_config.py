"""Options of the filter processor."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.processors.filter.config import ErrorMode, FilterConfig


def test_direct_conditions_form_one_group() -> None:
    """Conditions that stand in the flat list directly belong together."""
    config = FilterConfig.model_validate(
        {"trace_conditions": ['span.name == "a"', {"field": "name", "operator": "exists"}]}
    )
    assert [len(group.conditions) for group in config.trace_conditions] == [2]
    assert config.error_mode is ErrorMode.IGNORE


@pytest.mark.parametrize(
    ("options", "place", "message"),
    [
        ({"traces": {"span": ["true", "nam == 1"]}}, ("traces", "span", 1), "did you mean name?"),
        ({"traces": {"spanevent": ["kind == 1"]}}, ("traces", "spanevent", 0), "no readable kind"),
        ({"logs": {"log_record": ["span.name == 1"]}}, ("logs", "log_record", 0), "stands at a log"),
        ({"metrics": {"metric": ["value == 1"]}}, ("metrics", "metric", 0), "no readable value"),
        ({"trace_conditions": ["name == 1"]}, ("trace_conditions", 0), "Name the context"),
        ({"trace_conditions": ["log.body == 1"]}, ("trace_conditions", 0), "stands at a span"),
        (
            {"log_conditions": [{"context": "span", "conditions": ["true", "false"]}]},
            ("log_conditions", 0),
            "no context of logs",
        ),
        (
            {"trace_conditions": ["true", {"conditions": ["true"]}]},
            ("trace_conditions",),
            "either conditions or groups of conditions",
        ),
        ({"trace_conditions": ["span.name == 1"], "traces": {"span": ["true"]}}, (), "use one of them"),
        (
            {"logs": {"include": {"severity_number": {"min": "LOUD"}}}},
            ("logs", "include", "severity_number"),
            "no severity",
        ),
        ({"error_mode": "panic"}, ("error_mode",), "'ignore', 'silent' or 'propagate'"),
    ],
)
def test_mistakes_are_placed(options: dict[str, Any], place: tuple[str | int, ...], message: str) -> None:
    """Each condition is compiled when it is checked, and a mistake is reported at its own place."""
    with pytest.raises(ValidationError) as caught:
        FilterConfig.model_validate(options)
    (error,) = caught.value.errors()
    assert error["loc"] == place
    assert message in error["msg"]


def test_every_wrong_condition_of_a_flat_list_is_told_at_its_place() -> None:
    """OTTL and our own form, alone or in groups; what belongs together is still seen together."""
    own = {"field": "attributes.x", "operator": "exists"}
    flat = [own, "span.nam == 1", 'IsMach(span.name, "a")']
    groups = [{"conditions": ["log.body == nil"]}, {"context": "log", "conditions": ["body == nil", "bod == nil"]}]
    with pytest.raises(ValidationError) as refused:
        FilterConfig.model_validate({"trace_conditions": flat, "log_conditions": groups})
    assert [error["loc"] for error in refused.value.errors()] == [
        ("trace_conditions", 1),
        ("trace_conditions", 2),
        ("log_conditions", 1, "conditions", 1),
    ]
