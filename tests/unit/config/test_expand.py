"""References in values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.config.compose import parse
from untrace_pipeline.config.expand import expand
from untrace_pipeline.config.nodes import List, Map, Place, Scalar, Source, to_python

ENVIRON = {
    "HOST": "example.com",
    "PORT": "4317",
    "ON": "true",
    "EMPTY": "",
    "MAP": "{a: 1, b: [x, y]}",
    "TRICKY": "${env:HOST} $$ ${file:/etc/passwd}",
    "PASSWORD": "abc: [d # e",
    "COMMENT": "abc # def",
    "QUOTED": "'007'",
    "ANCHOR": "*x",
}
PLACE = Place(Source("test", in_file=False), 1, 1, 1, 1)


def expanded(text: str, environ: dict[str, str] | None = None) -> Any:
    """Expand one value and return it as Python."""
    node, findings, _ = expand(Scalar(PLACE, text, text), ENVIRON if environ is None else environ)
    assert findings == []
    return to_python(node)


def code_of(text: str) -> str:
    """Expand one wrong value and return the code of the finding."""
    _, (finding,), _ = expand(Scalar(PLACE, text, text), ENVIRON)
    return finding.code


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${env:HOST}", "example.com"),
        ("${HOST}", "example.com"),
        ("http://${env:HOST}:${PORT}/", "http://example.com:4317/"),
        ("${env:PORT}", 4317),
        ("${env:PORT}x", "4317x"),
        ("${env:ON}", True),
        ("${env:EMPTY}", None),
        ("-${env:EMPTY}-", "--"),
        ("${env:MAP}", {"a": 1, "b": ["x", "y"]}),
        ("${env:NOPE:-default}", "default"),
        ("${NOPE:-8080}", 8080),
        ("${env:NOPE:-}", None),
        ("${env:EMPTY:-default}", None),
        ("${env:NOPE:-${env:HOST}}", "example.com"),
        ("${env:NOPE:-a}${env:NOPE:-b}", "ab"),
        ('${env:NOPE:-{"a": {"b": 1}}}', {"a": {"b": 1}}),
        ("${env:NOPE:-a:b://c}", "a:b://c"),
        ("$$", "$"),
        ("$${env:HOST}", "${env:HOST}"),
        ("$$$${env:HOST}", "$${env:HOST}"),
        ("$$${env:HOST}", "$example.com"),
        ("$HOST costs 5$", "$HOST costs 5$"),
        ("^a$|b$", "^a$|b$"),
    ],
)
def test_expansion(text: str, value: Any) -> None:
    """Each form means what the Collector's documentation says, with defaults and the short form."""
    assert expanded(text) == value


@pytest.mark.parametrize("name", ["TRICKY", "PASSWORD", "COMMENT", "QUOTED", "ANCHOR"])
def test_text_that_is_no_other_yaml_value_is_taken_verbatim(name: str) -> None:
    """A password may hold anything: it is never cut, unquoted, or expanded again."""
    assert expanded(f"${{env:{name}}}") == ENVIRON[name]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("${env:NOPE}", "unset-variable"),
        ("x ${NOPE} y", "unset-variable"),
        ("${env:NOPE:-${env:ALSO_NOT}}", "unset-variable"),
        ("${env:HOST", "bad-reference"),
        ("${}", "bad-reference"),
        ("${env:}", "bad-reference"),
        ("${1}", "bad-reference"),
        ("${env:A B}", "bad-reference"),
        ("${env:HOST:default}", "bad-reference"),
        ("${http://x}", "bad-reference"),
        ("${file:/no/such/file}", "unreadable-reference"),
        ("${file:/}", "unreadable-reference"),
        ("${file:\0}", "unreadable-reference"),
        ("${env:A:-" * 20 + "}" * 20, "bad-reference"),
    ],
)
def test_mistakes(text: str, code: str) -> None:
    """Each mistake has its code."""
    assert code_of(text) == code


def test_file(tmp_path: Path) -> None:
    """A file's text comes in without its last newline, is typed, and is not expanded again."""
    path = tmp_path / "token"
    for content, value in [
        ("abc\n", "abc"),
        ("abc\r\n", "abc"),
        ("a\n\n", "a\n"),
        ("7\n", 7),
        ("${env:HOST}", "${env:HOST}"),
    ]:
        path.write_bytes(content.encode())
        assert expanded(f"${{file:{path}}}") == value
    _, _, files = expand(Scalar(PLACE, f"${{file:{path}}}", ""), {})
    assert files == [path]


def test_text_stays_for_options_that_want_a_string() -> None:
    """A typed value keeps the text that it came from."""
    node, _, _ = expand(Scalar(PLACE, "${env:V}", ""), {"V": "0x1F # not a comment for a string"})
    assert (node.text, to_python(node)) == ("0x1F # not a comment for a string", 31)


def test_bytes_that_are_no_text() -> None:
    """A variable with bytes that are no UTF-8 is refused, not passed on."""
    _, (finding,), _ = expand(Scalar(PLACE, "${env:V}", ""), {"V": "caf\udce9"})
    assert finding.code == "unreadable-reference"


def test_whole_tree() -> None:
    """Values are expanded wherever they stand, keys never."""
    tree = parse(Source("test", "'${env:HOST}': [{a: '${env:PORT}'}, '${env:MAP}']"))
    assert tree is not None
    node, findings, _ = expand(tree, ENVIRON)
    assert findings == []
    assert to_python(node) == {"${env:HOST}": [{"a": 4317}, {"a": 1, "b": ["x", "y"]}]}


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


@given(TEXT)
def test_values_are_never_expanded_again(value: str) -> None:
    """Whatever a variable holds, dollars and braces included, it comes out as it is."""
    assert expanded("<${env:V}>", {"V": value}) == f"<{value}>"
    whole, _, _ = expand(Scalar(PLACE, "${env:V}", ""), {"V": value})
    assert isinstance(whole, Scalar | Map | List)
    assert whole.text == value


@given(st.lists(st.one_of(st.sampled_from(["$$", "${env:V}", "${V}"]), st.text("ab{}:-", max_size=5)), max_size=8))
def test_literals_and_references_mix(parts: list[str]) -> None:
    """A text is the concatenation of what its parts mean."""
    meaning = "".join({"$$": "$", "${env:V}": "${env:V}", "${V}": "${env:V}"}.get(part, part) for part in parts)
    text = "<" + "".join(parts)
    assert expanded(text, {"V": "${env:V}"}) == "<" + meaning


@given(TEXT)
def test_doubled_dollars_stand_for_themselves(text: str) -> None:
    """Doubling every dollar makes any text a literal."""
    assert expanded("<" + text.replace("$", "$$"), {}) == "<" + text
