"""Options of the transform processor."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from untrace_plugins.processors.transform.config import TransformConfig

GOOD, TYPO, UNKNOWN = 'set(span.attributes["a"], 1)', 'set(span.nam, "x")', "sett(span.name)"


def test_every_wrong_statement_is_told_at_its_place() -> None:
    """In a plain list as well as in groups; the right ones are passed over."""
    groups = [{"context": "span", "statements": ['set(attributes["a"], 1)', "set(nam, 1)"]}, {"statements": [UNKNOWN]}]
    with pytest.raises(ValidationError) as refused:
        TransformConfig.model_validate({"trace_statements": [GOOD, TYPO, UNKNOWN], "log_statements": groups[1:]})
    assert [error["loc"] for error in refused.value.errors()] == [
        ("trace_statements", 1),
        ("trace_statements", 2),
        ("log_statements", 0, "statements", 0),
    ]
    with pytest.raises(ValidationError) as refused:
        TransformConfig.model_validate({"trace_statements": groups})
    assert [error["loc"] for error in refused.value.errors()] == [
        ("trace_statements", 0, "statements", 1),
        ("trace_statements", 1, "statements", 0),
    ]


def test_a_wrong_condition_is_told_at_its_group() -> None:
    """No statement is blamed for it."""
    groups = [{"statements": [GOOD]}, {"conditions": ["nope == 1"], "statements": [GOOD]}]
    with pytest.raises(ValidationError) as refused:
        TransformConfig.model_validate({"trace_statements": groups})
    assert [error["loc"] for error in refused.value.errors()] == [("trace_statements", 1)]


def test_every_wrong_operation_is_told_at_its_place() -> None:
    """As statements are."""
    right, wrong = {"template": {"to": "name", "template": "{name}"}}, {"template": {"to": "name", "template": "{name"}}
    with pytest.raises(ValidationError) as refused:
        TransformConfig.model_validate({"operations": [wrong, right, wrong]})
    assert [error["loc"] for error in refused.value.errors()] == [("operations", 0), ("operations", 2)]
