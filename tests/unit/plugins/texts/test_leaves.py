"""What may be replaced in a text so that the JSON that it is, or that is within it, stays JSON."""

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from untrace_plugins.texts.leaves import Kind, Part, Span, is_json, parts

MARK, NUMBER = "MARKED", 424242424242


def spans_of(text: str, *values: str) -> list[Span]:
    """Return where values stand in a text."""
    found = []
    for value in values:
        start = text.find(value)
        while start >= 0:
            found.append((start, start + len(value)))
            start = text.find(value, start + len(value))
    return [Span(start, end, number) for number, (start, end) in enumerate(sorted(found))]


def replaced(text: str, found: list[Part], new: str = "<X>") -> str:
    """Return the text with something else in place of parts."""
    for part in reversed(found):
        text = f"{text[: part.start]}{part.quote}{new}{part.quote}{text[part.end :]}"
    return text


def cleaned(value: Any) -> Any:
    """Return a document as it should be: marks are replaced in all strings, numbers by strings."""
    if isinstance(value, dict):
        return {cleaned(key): cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [cleaned(inner) for inner in value]
    if isinstance(value, str):
        if value.startswith('{"inner": '):
            return json.dumps(cleaned(json.loads(value)), ensure_ascii=False)
        return value.replace(MARK, "<X>")
    return "<X>" if value == NUMBER else value


# What is written with ASCII only, or with all characters; documents within strings within documents.
strings = st.text(max_size=12).flatmap(lambda text: st.sampled_from([text, f"{text}{MARK}", f"{MARK}{text}", MARK]))
scalars = strings | st.just(NUMBER) | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return lists, objects, and documents in strings, of what there is."""
    documents = (st.lists(inner, min_size=1, max_size=3) | st.dictionaries(strings, inner, min_size=1, max_size=3)).map(
        lambda value: json.dumps({"inner": value}, ensure_ascii=False)
    )
    return st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4) | documents


values = st.recursive(scalars, containers, max_leaves=12)


@given(value=st.lists(values, min_size=1) | st.dictionaries(strings, values), ascii=st.booleans())
def test_only_what_is_meant_changes(value: Any, ascii: bool) -> None:
    """At any depth and with any escapes: the document is the same but for what was replaced, and parses."""
    text = json.dumps(value, ensure_ascii=ascii)
    found = parts(text, spans_of(text, MARK, f"{NUMBER}"))
    assert json.loads(replaced(text, found)) == cleaned(value)


@given(
    value=st.lists(values, min_size=1) | st.dictionaries(strings, values),
    ascii=st.booleans(),
    cuts=st.lists(st.integers(0, 400), min_size=2, max_size=12, unique=True),
)
def test_wherever_spans_lie_json_stays_json(value: Any, ascii: bool, cuts: list[int]) -> None:
    """Spans across strings, keys and brackets, and through the middle of escapes, break nothing."""
    text = json.dumps(value, ensure_ascii=ascii)
    ends = sorted({min(cut, len(text)) for cut in cuts})
    spans = [Span(start, end, number) for number, (start, end) in enumerate(zip(ends[::2], ends[1::2], strict=False))]
    found = parts(text, spans)
    assert [part[:5] for part in found] == [part[:5] for part in parts(text, spans, to_the_end=True)]
    assert [part.start for part in found] == sorted(part.start for part in found)
    after = json.loads(replaced(text, found))
    assert type(after) is type(value)
    assert len(after) == len(value) or isinstance(value, dict)  # two keys may become one


@given(st.text(max_size=60), st.integers(0, 60), st.integers(1, 20))
def test_text_that_is_no_json_is_one_part(text: str, start: int, length: int) -> None:
    """In plain text a span may be replaced as it is."""
    end = min(start + length, len(text))
    if start < end and not is_json(text):
        (part,) = parts(text, [Span(start, end, 0)])
        assert (part.start, part.end) == (start, end)


def test_an_escape_is_never_cut() -> None:
    """A span that begins within an escape takes all of it; one that begins behind it leaves it."""
    text = json.dumps(json.dumps("a\nb"))  # "\"a\\nb\""
    (middle,) = parts(text, [Span(text.index("n"), text.index("b") + 1, 0)])
    assert text[middle.start : middle.end] == r"\\nb"
    (behind,) = parts(text, [Span(text.index("b"), text.index("b") + 1, 0)])
    assert text[behind.start : behind.end] == "b"
    (pair,) = parts('["\\ud83d\\ude00x"]', [Span(8, 9, 0)])
    assert (pair.start, pair.end) == (2, 14)


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ('{"card": 4111}', '"'),
        ('{"doc": "{\\"card\\": 4111}"}', '\\"'),
        ('first {"card": 4111} then', '"'),
        ('{"card": 4111}\n{"card": 1}', '"'),
        ('{"text": "see {\\"card\\": 4111}!"}', '\\"'),
        ('[1, "see [2, 4111]"]', '\\"'),
        ("card: 4111, thanks", ""),
    ],
)
def test_a_number_becomes_a_string(text: str, quote: str) -> None:
    """In place of a number of a document, a string with the quotes that its depth needs; in text, text."""
    (part,) = parts(text, spans_of(text, "4111"))
    assert part.quote == quote


def test_a_span_over_several_strings_gives_several_parts() -> None:
    """Brackets, quotes and commas between them stay."""
    text = '{"a": ["one", "two", 3], "b": true}'
    found = parts(text, [Span(0, len(text), 7)])
    assert [(text[p.start : p.end], p.kind) for p in found] == [
        ("a", Kind.KEY),
        ("one", Kind.STRING),
        ("two", Kind.STRING),
        ("3", Kind.NUMBER),
        ("b", Kind.KEY),
    ]
    assert {part.number for part in found} == {7}
    assert parts('{"a":  [ ]}', [Span(4, 9, 0)]) == []


def test_what_is_too_deep_is_text() -> None:
    """A hundred thousand brackets are no reason to fail."""
    text = "[" * 100_000 + '"x"' + "]" * 100_000
    (part,) = parts(text, spans_of(text, "x"))
    assert part.kind in {Kind.TEXT, Kind.STRING}


MESSAGES = [
    {"role": "system", "parts": [{"type": "text", "content": "S"}]},
    {"parts": [{"type": "text", "content": "U"}], "role": "user"},
    {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "c1", "name": "find_order", "arguments": {"mail": "A"}}],
    },
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": '{"mail": "R"}'}]},
    {
        "role": "assistant",
        "tool_calls": [{"id": "c2", "type": "function", "function": {"name": "pay", "arguments": '{"to": "F"}'}}],
    },
    {"role": "tool", "tool_call_id": "c2", "content": "T"},
]


def test_scopes_say_whose_text_it_is() -> None:
    """Role and tool are known where they stand before or behind the text, and in documents within strings."""
    text = json.dumps(MESSAGES)
    letters = [f'"{letter}"' for letter in "SU"] + [f'"{letter}' for letter in ("A", "T")] + ['\\"R', '\\"F']
    found = parts(text, spans_of(text, *letters), to_the_end=True)
    told = {text[part.start : part.end]: (part.scope.role, part.scope.tool) for part in found}
    assert told == {
        "S": ("system", None),
        "U": ("user", None),
        "A": ("assistant", "find_order"),
        "R": ("tool", "find_order"),
        "F": ("assistant", "pay"),
        "T": ("tool", "pay"),
    }
