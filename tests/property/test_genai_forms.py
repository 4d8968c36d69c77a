"""Whatever a span holds, it goes out in every form, and nothing that was said is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.genai_forms import held, reading, there_and_back
from tests.support.genai_strategies import canonical_spans, hostile_spans, llm_calls
from untrace_pipeline.data import Field, Level
from untrace_pipeline.testing import make_batch
from untrace_plugins.genai import names
from untrace_plugins.genai.emit import emit
from untrace_plugins.genai.names import JSON_ATTRIBUTES, Form

START, END = 1_764_000_000_000_000_000, 1_764_000_001_000_000_000
WORDS = {names.OPERATION, names.SPAN_KIND, names.DIALECT}
"""Attributes whose values a form translates."""
SPOKEN = {"content", "response", "arguments", "parameters", "name", "id", "uri", "file_id", "data"}
ATTRIBUTES = Field(Level.ITEM, "attributes")


def applied(form: Form, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes as they go out."""
    changed = {**attributes, **emit(form, attributes, START, END)}
    return {name: value for name, value in changed.items() if value is not None}


def said(attributes: dict[str, Any]) -> set[str]:
    """Return what a canonical span says: contents, names, arguments, results, and all other strings."""
    found: set[str] = set()
    for name, value in attributes.items():
        if name in {names.METADATA, names.TOOL_CALL_ARGUMENTS}:
            found |= set(leaves(json.loads(value)))
        elif name in JSON_ATTRIBUTES - {names.TOOL_CALL_RESULT}:
            found |= set(spoken(json.loads(value)))
        elif name not in WORDS:
            found |= set(leaves(value))
    return found


def spoken(value: Any) -> Iterator[str]:
    """Yield the strings of messages and definitions, without the words of their schema."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from leaves(inner) if key in SPOKEN else spoken(inner) if isinstance(inner, list) else ()
    for inner in value if isinstance(value, list) else ():
        yield from spoken(inner)


def leaves(value: Any) -> Iterator[str]:
    """Yield all strings in a value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)


def shown(value: Any) -> Iterator[str]:
    """Yield all strings that a reader of a form finds, in JSON, data URLs and lists with commas too."""
    for text in leaves(value):
        yield text
        yield from text.split(";base64,")
        yield from text.split(",")
        try:
            inner = json.loads(text)
        except ValueError:
            continue
        if isinstance(inner, str | dict | list):
            yield from shown(inner)


@pytest.mark.parametrize("form", Form)
@settings(max_examples=60, deadline=None)
@given(attributes=canonical_spans)
def test_nothing_that_was_said_is_lost(form: Form, attributes: dict[str, Any]) -> None:
    """Every text, name, argument, result and id of a span is in what goes out."""
    out = applied(form, attributes)
    keys = {name.rpartition(".")[2] for name in out}
    assert said(attributes) - keys - set(shown([*out.values()])) == set()
    assert out["own.attribute"] == attributes["own.attribute"] if "own.attribute" in attributes else True


@pytest.mark.parametrize("form", Form)
@settings(max_examples=60, deadline=None)
@given(attributes=llm_calls)
def test_a_call_comes_back_as_it_went(form: Form, attributes: dict[str, Any]) -> None:
    """Whatever was said, there and back it is the same, but for what the form cannot hold."""
    assert reading(there_and_back(form, attributes, START, END)) == held(form, attributes)


@pytest.mark.parametrize("form", Form)
@settings(max_examples=60, deadline=None)
@given(attributes=hostile_spans)
def test_whatever_a_span_holds_it_goes_out(form: Form, attributes: dict[str, Any]) -> None:
    """Wrong types, broken, deep and absurd JSON raise nothing, and what comes out can be written as OTLP."""
    batch = make_batch(items=1)
    batch.set(ATTRIBUTES, [applied(form, attributes)])
    batch.to_otlp()


@pytest.mark.parametrize("form", Form)
def test_foreign_spans_are_left_alone(form: Form) -> None:
    """A span that is no business of ours goes out as it came."""
    assert emit(form, {"http.route": "/", "ai.own": 1, "llm.own": "x"}, START, END) == {}
