"""Which spans describe a call of a model that another span counts for.

A wrapper and the provider's SDK beneath it, or two instrumentations of one client, both report the tokens of one call.
The innermost counts: it is nearest to the provider, and the first to end. Spans may come in any order and in any number
of requests; what was decided for one is never taken back, since it was passed on.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Calls", "Role", "SpanFacts"]

STEPS = 32
"""How many spans may lie between a call and what wraps it."""


LONG_ID = 20
"""Characters from which on the id of an answer is no number: ``chatcmpl-`` and a random part, ``msg_…``, a UUID."""


class Role(enum.Enum):
    """What a span is to the calls beneath and above it."""

    CALL = enum.auto()
    """It has tokens of a call."""
    BORDER = enum.auto()
    """A tool or an agent: a call beneath it is another one than a call above it."""
    BETWEEN = enum.auto()
    """Anything else: HTTP, a step, a call without tokens."""


class SpanFacts(NamedTuple):
    """What must be known of a span."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    role: Role
    operation: str = ""
    """Calls of different operations are different calls."""
    tokens: tuple[int, int] = (0, 0)
    """Input and output."""
    response_id: str = ""
    times: tuple[int, int] = (0, 0)
    """Start and end."""


class _Node:
    """A span of a trace, or the place of one that has not come yet."""

    __slots__ = ("beneath", "counts", "facts")

    def __init__(self) -> None:
        self.facts: SpanFacts | None = None
        self.counts: bool | None = None
        self.beneath: dict[bytes, SpanFacts] = {}
        """Calls that count, by span id, of which this span is the nearest place that they are known to."""


class Calls:
    """Remembers the spans of recent traces, up to ``capacity`` spans; the traces that were longest silent go first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._traces: OrderedDict[bytes, dict[bytes, _Node]] = OrderedDict()
        self._size = 0
        self._answers: OrderedDict[tuple[bytes, str], SpanFacts] = OrderedDict()
        """The span that counts, by the id of the provider's answer."""

    def __len__(self) -> int:
        return self._size

    def duplicates(self, spans: Sequence[SpanFacts]) -> list[bool]:
        """Return for each span whether another one counts for its call. Spans that were seen get the same answer."""
        nodes = [self._seen(span) for span in spans]
        for node in dict.fromkeys(nodes):  # each once, however often its id repeats
            self._lift(node)
        calls = [(self._above(span), span) for span in spans if span.role is Role.CALL]
        calls.sort(key=lambda call: len(call[0]), reverse=True)
        for above, span in calls:
            self._decide(span, above)
        self._forget()
        return [node.counts is False for node in nodes]

    def _seen(self, span: SpanFacts) -> _Node:
        """Put a span in its place; its trace has the longest to live."""
        node = self._node(span.trace_id, span.span_id)
        node.facts = span
        self._traces.move_to_end(span.trace_id)
        return node

    def _node(self, trace_id: bytes, span_id: bytes) -> _Node:
        trace = self._traces.get(trace_id)
        if trace is None:
            trace = self._traces[trace_id] = {}
        node = trace.get(span_id)
        if node is None:
            node = trace[span_id] = _Node()
            self._size += 1
        return node

    def _forget(self) -> None:
        while self._size > self._capacity:
            _, trace = self._traces.popitem(last=False)
            self._size -= len(trace)
        while len(self._answers) > self._capacity:
            self._answers.popitem(last=False)

    def _above(self, span: SpanFacts) -> list[SpanFacts]:
        """Return the spans above one, as far as they are known, up to a border."""
        nodes = self._traces[span.trace_id]
        found: list[SpanFacts] = []
        while len(found) < STEPS:
            node = nodes.get(span.parent_id)
            if node is None or node.facts is None or node.facts.role is Role.BORDER:
                break
            span = node.facts
            found.append(span)
        return found

    def _decide(self, span: SpanFacts, above: Sequence[SpanFacts]) -> None:
        node = self._node(span.trace_id, span.span_id)
        if node.counts is None:
            node.counts = not (_covered(span, node) or self._wrapped(span, above) or self._answered(span))
        if node.counts:
            if span.response_id:
                self._answers.setdefault(_answer(span), span)
            self._report(span, span)

    def _wrapped(self, span: SpanFacts, above: Sequence[SpanFacts]) -> bool:
        """Return whether a call above counts already: it came in an earlier request."""
        nodes = self._traces[span.trace_id]
        return any(_same(outer, span) and nodes[outer.span_id].counts for outer in above)

    def _answered(self, span: SpanFacts) -> bool:
        """Return whether another span, at the same time, counts for the same answer of the provider."""
        other = self._answers.get(_answer(span)) if span.response_id else None
        if other is None or other.span_id == span.span_id or other.tokens != span.tokens:
            return False
        return other.times[0] <= span.times[1] and span.times[0] <= other.times[1]

    def _report(self, call: SpanFacts, start: SpanFacts) -> None:
        """Tell every span above, up to a border, that a call counts; the first that has not come yet keeps it."""
        for _ in range(STEPS):
            if not start.parent_id:
                return
            node = self._node(call.trace_id, start.parent_id)
            node.beneath[call.span_id] = call
            if node.facts is None or node.facts.role is Role.BORDER:
                return
            start = node.facts

    def _lift(self, node: _Node) -> None:
        """Pass on what waited in the place of a span that has come now."""
        span = node.facts
        if span is not None and span.role is not Role.BORDER and node.beneath:
            for call in list(node.beneath.values()):
                self._report(call, span)


def _covered(span: SpanFacts, node: _Node) -> bool:
    """Return whether a call beneath counts already."""
    return any(_same(span, inner) for inner in node.beneath.values())


def _answer(span: SpanFacts) -> tuple[bytes, str]:
    """Return what an answer is known by: its id, if it is long, in any trace.

    Instrumentations that do not make their span the current one leave the provider's span beneath in a trace of its
    own. Some servers number their answers from one, or by chance from a few hundred: such ids say little.
    """
    return (b"" if len(span.response_id) >= LONG_ID else span.trace_id, span.response_id)


def _same(outer: SpanFacts, inner: SpanFacts) -> bool:
    """Return whether two spans, one above the other, describe one call.

    They do not if both name an answer, and neither the names nor the tokens are the same: a model that calls another.
    """
    if outer.role is not Role.CALL or outer.operation != inner.operation:
        return False
    named = outer.response_id and inner.response_id
    return not named or outer.response_id == inner.response_id or outer.tokens == inner.tokens
