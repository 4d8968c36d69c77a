"""Options of the routing connector."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.data import Level, Signal
from untrace_plugins.connectors.routing.config import ErrorMode, RouteConfig, RoutingConfig


def test_references_name_all_pipelines() -> None:
    """Validation finds every pipeline at its place."""
    config = RoutingConfig.model_validate(
        {
            "default_pipelines": ["traces/rest"],
            "fallback_pipelines": ["traces/spare"],
            "table": [
                {"condition": "true", "pipelines": ["traces/a", "logs"], "fallback_pipelines": ["logs/spare"]},
                {"statement": "route()", "pipelines": ["traces/b"]},
            ],
        }
    )
    assert config.error_mode is ErrorMode.IGNORE
    assert config.references() == {
        "table.0.pipelines": ("traces/a", "logs"),
        "table.0.fallback_pipelines": ("logs/spare",),
        "table.1.pipelines": ("traces/b",),
        "table.1.fallback_pipelines": (),
        "default_pipelines": ("traces/rest",),
        "fallback_pipelines": ("traces/spare",),
    }


@pytest.mark.parametrize(
    ("route", "level"),
    [
        ({"condition": 'attributes["a"] == 1'}, Level.RESOURCE),
        ({"statement": 'route() where attributes["a"] == 1'}, Level.RESOURCE),
        ({"condition": 'span.name == "a"'}, Level.ITEM),
        ({"condition": 'name == "a"', "context": "span"}, Level.ITEM),
        ({"condition": 'schema_url == "a"', "context": "resource"}, Level.RESOURCE),
        ({"condition": {"field": "name", "operator": "exists"}}, Level.ITEM),
        ({"condition": 'request["a"] == "b"', "context": "request"}, Level.ITEM),
    ],
)
def test_the_level_of_a_route(route: dict[str, Any], level: Level) -> None:
    """The context, named or inferred, says what is routed; bare paths mean the resource, as they always did."""
    config = RouteConfig.model_validate({**route, "pipelines": ["traces/a"]})
    assert config.compile(Signal.TRACES).level is level


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ({}, "either a condition or a statement"),
        ({"condition": "true", "statement": "route()"}, "either a condition or a statement"),
        ({"condition": "true", "pipelines": []}, "at least 1 item"),
        ({"condition": "true", "pipelines": ["spans/a"]}, "is no pipeline id"),
        ({"condition": "true", "context": "profile"}, "'resource', 'span'"),
        ({"condition": "true", "context": "log"}, "can only go to pipelines of logs"),
        ({"condition": "nam == 1", "context": "span"}, "did you mean name?"),
        ({"condition": 'log.body == "x"'}, "stands at a span"),
        ({"condition": 'name == "x"', "context": "request"}, "knows only the request"),
        ({"statement": "route()", "context": "request"}, "takes a condition"),
        ({"statement": 'delete_key(attributes, "x") where true'}, "a statement is written route()"),
        ({"statement": "route() where nam == 1"}, "no readable nam"),
        ({"condition": "true", "action": "duplicate"}, "'move' or 'copy'"),
    ],
)
def test_mistakes_are_told(route: dict[str, Any], message: str) -> None:
    """Every route is compiled for the signals of its pipelines when it is checked."""
    with pytest.raises(ValidationError) as caught:
        RoutingConfig.model_validate({"table": [{"pipelines": ["traces/a"], **route}]})
    assert message in str(caught.value)
