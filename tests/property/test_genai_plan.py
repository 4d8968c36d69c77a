"""Spans of the convention alone are read the short way; the changes are those of the whole way."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.captures import captures
from untrace_pipeline.data import ATTRIBUTES, Field, Level, Signal, Value
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.otel import CANONICAL, VERSIONS
from untrace_plugins.genai.normalise import ALL, Changes, Manner, normalise
from untrace_plugins.genai.plan import Plan

MESSAGES = (
    '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]',
    '[{"role":"assistant","parts":[{"type":"tool_call","name":"f","arguments":{"a":1}}],"finish_reason":"tool_call"}]',
    '[{"role":"assistant","parts":[{"type":"text","content":""}],"finish_reason":"end_turn"}]',
    '[{"type":"text","content":"be brief"}]',
    '[{"type":"function","name":"f"}]',
    '[{"role":"user","content":"hi"}]',
    '[{"role":"user","parts":[{"type":"te',
    '"[{\\"role\\":\\"user\\",\\"parts\\":[]}]"',
    "[]",
    "{}",
    "[" * 3000,
    "hi",
)
WORDS = (*names.OPERATIONS, "Chat", "acompletion", "chain", "openai", "gemini", "tool-calls", "stop", "5", "nan", "")
values: st.SearchStrategy[Value] = st.one_of(
    st.sampled_from(MESSAGES),
    st.sampled_from(WORDS),
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers(0, 9),
    st.floats(),
    st.sampled_from((0.0, 0.5)),
    st.binary(max_size=3),
    st.lists(st.sampled_from(WORDS), max_size=2),
    st.dictionaries(st.sampled_from(("a", "type")), st.sampled_from(WORDS), max_size=1),
)
RENAMED = sorted(name for table in VERSIONS.values() for name in table)
TODAY = sorted({canonical for table in VERSIONS.values() for canonical, _ in table.values()})
ADDED = (names.CONVERSATION_ID, names.SPAN_KIND, names.DUPLICATE, names.ERROR_TYPE, names.OUTPUT_TYPE, "http.route")
keys = st.one_of(
    st.sampled_from((names.OPERATION, *sorted(CANONICAL), *ADDED)),
    st.sampled_from(RENAMED),
    st.sampled_from(TODAY),
)
MANNERS = (
    ALL,
    Manner(overwrites=frozenset({"otel_genai"})),
    Manner(removes=frozenset({"otel_genai"})),
)


def spans() -> list[Mapping[str, Value]]:
    """Return the spans of all captures, as they came and as they are in the form."""
    field = Field(Level.ITEM, ATTRIBUTES)
    found: list[Mapping[str, Value]] = [
        span  # type: ignore[misc]  # whole maps
        for capture in captures().values()
        for _, batch in capture.otlp(Signal.TRACES)
        for span in batch.column(field)
    ]
    written = [{**span, **normalise(span).values} for span in found]
    once = [{k: v for k, v in span.items() if v is not None and k != names.DIALECT} for span in written]
    canonical = [{k: v for k, v in span.items() if k.startswith("gen_ai.") and k not in RENAMED} for span in once]
    return [*found, *once, *canonical]


SPANS = spans()
CHAT: Mapping[str, Value] = {
    names.OPERATION: "chat",
    names.PROVIDER: "openai",
    names.REQUEST_MODEL: "gpt-4o",
    names.RESPONSE_FINISH_REASONS: ["stop"],
    names.USAGE_INPUT: 5,
    names.USAGE_OUTPUT: 2,
    names.INPUT_MESSAGES: MESSAGES[0],
    names.OUTPUT_MESSAGES: MESSAGES[1],
}


def the_whole_way(attributes: Mapping[str, Value], manner: Manner, error: str | None = None) -> Changes:
    """Return the changes as readers find them, without the short way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plan, "differences", lambda _plan, _attributes: None)
        return normalise(attributes, manner, error=error)


def assert_same(attributes: Mapping[str, Value], manner: Manner, error: str | None = None) -> None:
    """Changes, their types and what is malformed are the same."""
    short, whole = normalise(attributes, manner, error=error), the_whole_way(attributes, manner, error)
    assert repr(dict(sorted(short.values.items()))) == repr(dict(sorted(whole.values.items())))
    assert short.dialect == whole.dialect
    assert sorted(short.malformed) == sorted(whole.malformed)


def test_captures() -> None:
    """Every recorded span; the canonical ones go the short way."""
    short = 0
    for span in SPANS:
        for manner in MANNERS:
            assert_same(span, manner)
        short += Plan(tuple(span), ALL.dialects).differences(span) is not None
    assert short > len(SPANS) / 4


@settings(max_examples=500)
@given(
    st.sampled_from(SPANS) | st.just(CHAT),
    st.dictionaries(keys, values, max_size=3),
    st.sets(st.sampled_from(sorted(CANONICAL)), max_size=2),
    st.sampled_from(MANNERS),
    st.none() | st.just("timeout"),
)
def test_mutated_spans(
    span: Mapping[str, Value], added: dict[str, Value], gone: set[str], manner: Manner, error: str | None
) -> None:
    """Recorded spans with values by chance, without some keys, under options, failed or not."""
    assert_same({key: value for key, value in {**span, **added}.items() if key not in gone}, manner, error)


@settings(max_examples=200)
@given(st.dictionaries(keys, values, max_size=6), st.sampled_from(sorted(names.OPERATIONS)))
def test_spans_by_chance(attributes: dict[str, Value], operation: str) -> None:
    """Any values under canonical names, on a span that says what it is."""
    assert_same({names.OPERATION: operation, **attributes}, ALL)


def test_a_word_is_corrected_the_short_way() -> None:
    """An old name of a provider does not cost a reading of the whole span."""
    span = {**CHAT, names.PROVIDER: "gemini"}
    assert Plan(tuple(span), ALL.dialects).differences(span) == {names.PROVIDER: "gcp.gemini"}
    assert Plan(tuple(CHAT), ALL.dialects).differences(CHAT) == {}
    old = {names.SYSTEM: "gemini", **{key: value for key, value in CHAT.items() if key != names.PROVIDER}}
    assert Plan(tuple(old), ALL.dialects).differences(old) == {names.PROVIDER: "gcp.gemini"}
