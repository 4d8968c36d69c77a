"""Options of attributes and resource."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.processors.attributes.config import Action, AttributesConfig
from untrace_plugins.processors.resource.config import ResourceConfig


def test_actions_may_be_in_capitals() -> None:
    """The Collector takes action names in any case."""
    config = AttributesConfig.model_validate({"actions": [{"key": "a", "action": "INSERT", "value": 1}]})
    assert config.actions[0].action is Action.INSERT


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"action": "insert", "value": 1}, "needs a key"),
        ({"action": "delete"}, "needs a key or a pattern"),
        ({"key": "a", "action": "insert"}, "needs one of value, from_attribute, from_context"),
        ({"key": "a", "action": "upsert", "value": 1, "from_attribute": "b"}, "needs one of value"),
        ({"key": "a", "action": "insert", "value": 1, "pattern": "x"}, "does not take pattern"),
        ({"key": "a", "action": "delete", "value": 1}, "does not take value"),
        ({"key": "a", "action": "hash", "converted_type": "int"}, "does not take converted_type"),
        ({"key": "a", "action": "extract"}, "needs a pattern"),
        ({"key": "a", "action": "extract", "pattern": "x"}, "every group of the pattern needs a name"),
        ({"key": "a", "action": "extract", "pattern": "(?P<x>.)(.)"}, "every group of the pattern needs a name"),
        ({"key": "a", "action": "delete", "pattern": "("}, "no regular expression"),
        ({"key": "a", "action": "convert"}, "needs converted_type"),
        ({"key": "a", "action": "convert", "converted_type": "bool"}, "'string', 'int' or 'double'"),
        ({"key": "a", "action": "rename", "value": 1}, "'insert', 'update'"),
        ({"key": "a", "action": "insert", "value": 2**64}, "no value that an attribute can have"),
    ],
)
def test_actions_are_checked(action: dict[str, Any], message: str) -> None:
    """Every action says what it lacks and what it does not take."""
    with pytest.raises(ValidationError, match=message.replace("(", r"\(")):
        AttributesConfig.model_validate({"actions": [action]})
    with pytest.raises(ValidationError):
        ResourceConfig.model_validate({"attributes": [action]})


@pytest.mark.parametrize("value", ["", 0, False, 0.0, [], {"a": [None, 1]}])
def test_empty_values_are_values(value: Any) -> None:
    """Zero, false and the empty string can be written, and keep their type."""
    config = AttributesConfig.model_validate({"actions": [{"key": "a", "action": "insert", "value": value}]})
    assert config.actions[0].value == value
    assert type(config.actions[0].value) is type(value)


def test_something_must_be_done() -> None:
    """A processor without actions is a mistake."""
    for config in (AttributesConfig, ResourceConfig):
        with pytest.raises(ValidationError):
            config.model_validate({"actions" if config is AttributesConfig else "attributes": []})
