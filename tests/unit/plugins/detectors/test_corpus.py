"""How much of the corpus the detectors leave, and what of real telemetry they destroy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.captures import Capture, captures
from tests.support.pii import all_detectors, is_held_out, lines, score

MAX_LEAK, MAX_OVER_REDACTION = 3.0, 2.0
"""Per cent of the lines."""


@pytest.mark.parametrize("held_out", [True, False])
def test_bar(held_out: bool) -> None:
    """At most 3 % of the lines leak, at most 2 % of the clean ones change, and JSON stays JSON."""
    rows = [row for row in lines() if is_held_out(row["id"]) == held_out]
    result = score(all_detectors().find, rows, "regex")
    assert result["json"]["broken"] == result["json"]["nested_broken"] == 0
    assert result["leak_rate"] <= MAX_LEAK, result["types"]
    assert result["over_redaction_rate"] <= MAX_OVER_REDACTION, result["negative_categories"]


def strings(value: Any) -> Iterator[str]:
    """Yield the strings within a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def texts(capture: Capture) -> Iterator[str]:
    """Yield the values of attributes, of spans and their events, and the bodies of log records."""
    for _, batch in capture.otlp():
        for item in batch.items():
            yield from strings(dict(item.attributes))


@pytest.mark.parametrize("name", sorted(captures()))
def test_decoys_stay(name: str) -> None:
    """What looks like personal data and is none stays as often as it was, and what is planted goes."""
    capture = captures()[name]
    find = all_detectors().find
    before, after = [], []
    for text in set(texts(capture)):
        gone, last = [], 0
        for finding in find(text):
            gone.append(text[last : finding.start])
            last = finding.end
        before.append(text)
        after.append("\0".join([*gone, text[last:]]))
    for decoy in capture.expect["decoys"].values():
        assert sum(text.count(decoy) for text in after) == sum(text.count(decoy) for text in before), decoy
    for value in capture.expect["pii"].values():
        assert not any(value in text for text in after), value
