"""What is remembered of spans, and for how long."""

from __future__ import annotations

from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_plugins.exporters.platform.encoders.lineage import Lineage

TRACE = b"\1" * 16


def ident(number: int) -> bytes:
    return number.to_bytes(8, "big")


def batch(*links: tuple[int, int]) -> Batch:
    """Return a span for each pair of numbers: its own, and its parent's; 0 = none."""
    spans = [
        NewSpan(TRACE, ident(own), "span", own, own + 1, parent_span_id=ident(parent) if parent else b"")
        for own, parent in links
    ]
    return Batch(Signal.TRACES, compose_spans({}, Scope("test"), spans))


def above(lineage: Lineage, number: int) -> list[int]:
    return [int.from_bytes(one.span_id) for one in lineage.above(TRACE, ident(number))]


def test_ancestors_are_told_from_the_nearest_on() -> None:
    """Over requests, as far as they are known, with what is sent of them."""
    lineage = Lineage()
    lineage.learn(batch((1, 0), (2, 1)), [0])
    lineage.learn(batch((3, 2), (5, 4)), [0, 1])
    assert above(lineage, 3) == [3, 2, 1]
    assert above(lineage, 5) == [5]
    assert [one.sent for one in lineage.above(TRACE, ident(3))] == [True, False, True]


def test_the_first_root_stays_the_root() -> None:
    """A second one is told as what it is."""
    lineage = Lineage()
    lineage.learn(batch((7, 0), (8, 0)), [0, 1])
    lineage.learn(batch((9, 0)), [0])
    root = lineage.root(TRACE)
    assert root is not None
    assert root.span_id == ident(7)
    assert lineage.root(b"\2" * 16) is None


def test_circles_end_after_once_around() -> None:
    """Spans that are above each other, and one that is above itself."""
    lineage = Lineage()
    lineage.learn(batch((1, 2), (2, 1), (3, 3)), [0, 1, 2])
    assert above(lineage, 1) == [1, 2]
    assert above(lineage, 3) == [3]


def test_the_oldest_are_forgotten() -> None:
    """Memory is bounded, of spans as of roots."""
    lineage = Lineage(remembered=3)
    for number in range(1, 11):
        lineage.learn(batch((number, number - 1)), [0])
    assert above(lineage, 10) == [10, 9, 8]
    assert above(lineage, 7) == []
