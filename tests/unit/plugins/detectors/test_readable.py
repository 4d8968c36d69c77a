"""The readable form: what stands for a character is read as it, and findings come back to where they were."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pii import all_detectors, replaced
from untrace_pipeline.api import Finding
from untrace_plugins.detectors.readable import readable

ADDRESS = "jane.doe@example.com"


@pytest.mark.parametrize("text", ["plain", "", "naïve – 世界", 'a "b" c'])
def test_usual_text_is_the_same_object(text: str) -> None:
    """Where nothing is unusual nothing is copied."""
    assert readable(text).text is text


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (r"a\u0040b", "a@b"),
        (r"a\\\\u0040b", "a@b"),
        (r"x\n0171\"", 'x\n0171"'),
        ("a%40b &#64; &#x40; &amp;", "a@b @ @ &"),
        ("ｊａｎｅ＠ａ．ｄｅ", "jane@a.de"),
        ("4111\u00a01111\u20091111", "4111 1111 1111"),
        ("489–78—x", "489-78—x"),
        ("ja\u200bne\ufeff", "jane"),
        ("٠١٢ ०१", "012 01"),
        (r"jane\_doe", "jane_doe"),
        ("203[.]0(.)113", "203.0.113"),
        ('"gho_ab" + "cd"', '"gho_abcd"'),
        ("gho_ab\\\ncd", "gho_abcd"),
        (r"gho_ab\\\ncd ef\\ngh", "gho_abcd ef\ngh"),
        (r"\ud83d\ude00", "\ufffd\ufffd"),
        ("\\" * 100 + "u0040" + "\\" * 100, "@" + "\\" * 100),
        (r"C:\users \z 50%", r"C:\users \z 50%"),
    ],
)
def test_form(text: str, form: str) -> None:
    """Escapes of JSON at any depth, of URLs and HTML, odd spaces, dashes and digits, and what cannot be seen."""
    assert readable(text).text == form


@given(st.text(alphabet='ab1@ \\nu0041"%&#64;–\u200b\u00a0１é世', max_size=60))
def test_every_part_lies_where_it_came_from(text: str) -> None:
    """The parts of the readable form, one after the other, lie in the text in order, and read as what they are."""
    form = readable(text)
    last = 0
    for offset, char in enumerate(form.text):
        place = form.original(Finding(offset, offset + 1, "", ""))
        assert last <= place.start < place.end <= len(text)
        last = place.end
        assert text[place.start : place.end] == char or readable(text[place.start : place.end]).text in {char, "–"}


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.integers(0, 3))
def test_json_stays_json(before: str, behind: str, depth: int) -> None:
    """What is found in nested JSON is replaced by whole escapes: the document parses, and the value is gone."""
    text: str = f"{before} {ADDRESS} {behind}"
    for _ in range(depth):
        text = json.dumps({"a": text})
    after = replaced(text, all_detectors().find(text))
    assert ADDRESS not in after
    for _ in range(depth):
        after = json.loads(after)["a"]


@pytest.mark.parametrize(
    "text",
    [
        quote(ADDRESS),
        ADDRESS.replace("@", html.escape("&#64;").replace("&amp;", "&")),
        ADDRESS.replace("@", r"\u0040"),
        ADDRESS.translate({ord(char): ord(char) + 0xFEE0 for char in ADDRESS}),
        ADDRESS.replace("doe", "d\u200boe"),
    ],
)
def test_spellings_of_an_address(text: str) -> None:
    """However it is written, it is found as a whole."""
    (finding,) = all_detectors().find(text)
    assert finding.type == "EMAIL"
    assert (finding.start, finding.end) == (0, len(text))
