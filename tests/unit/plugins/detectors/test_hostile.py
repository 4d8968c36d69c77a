"""Texts that are made to be slow, or to break something: looked at to the end, in time that grows with the text."""

from __future__ import annotations

import pytest

from tests.support.pii import all_detectors
from untrace_plugins.detectors.passwords import PASSWORD

UNITS = (
    *(
        "1",
        "1 ",
        "12-",
        "1.",
        "1:",
        "12.3.4.5.",
        "4111111111111111",
        "+1 ",
        "0",
        "一",
        "１",
        "\u200b",
        "\\",
        "\\n",
        "%31",
        "&#49;",
    ),
    *(
        "@",
        "a@",
        "a@a.",
        "://",
        "://a:b@",
        "a (at) b ",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN ",
        "password is ",
        "password: ",
    ),
    *(
        "eyJ",
        "eyJhbGciOiJIUzI1NiJ9.",
        "::",
        "a:b:",
        "ab-cd-",
        "key ",
        "token: ",
        "tel 1 ",
        "born 1.1.90 ",
        "a,b\n",
        "sk-",
        "0x",
        "one two ",
    ),
    *("mysql -p", "docker ", "{", '["a",', "DE89370400440532013000", "passport ", "a|", '"', "\n", "\ud800"),
)
SIZE = 100_000


@pytest.mark.parametrize("unit", UNITS)
def test_repeated_for_long(unit: str) -> None:
    """A hundred thousand characters of one kind do no harm, and what stands behind them is still found."""
    text = (unit * (SIZE // len(unit) + 1))[:SIZE] + " \n jane@example.com"
    assert all_detectors().find(text)[-1].end == len(text)


def test_announcements_within_a_password() -> None:
    """A value that repeats what announces it is one password after another, not one per announcement."""
    text = "password=" * 1000
    findings = list(PASSWORD.find(text))
    assert len(findings) <= len(text) // 100
    assert (findings[0].start, findings[-1].end) == (9, len(text))


def test_ten_megabytes() -> None:
    """A long text is looked at to its end."""
    text = "The quick brown fox jumps over the lazy dog. " * 230_000 + "jane@example.com"
    assert [finding.start for finding in all_detectors().find(text)] == [len(text) - 16]


@pytest.mark.parametrize("text", ["", " ", "\0", "{" * 10_000, "NaN", ":.", "a" * 70_000, "\n" * 1000, '{"a":' * 5000])
def test_nothing_to_find(text: str) -> None:
    """Odd texts give nothing, and no error."""
    assert all_detectors().find(text) == []
