"""Which of several spans of one call counts, in whatever order and requests they come."""

from __future__ import annotations

import itertools
import random

import pytest

from untrace_plugins.genai.duplicates import STEPS, Calls, Role, SpanFacts


def call(
    span: str, parent: str = "", answer: str = "", tokens: tuple[int, int] = (10, 5), kind: str = "generation"
) -> SpanFacts:
    return SpanFacts(b"t", span.encode(), parent.encode(), Role.CALL, kind, tokens, answer)


def between(span: str, parent: str = "", role: Role = Role.BETWEEN) -> SpanFacts:
    return SpanFacts(b"t", span.encode(), parent.encode(), role)


def marked(*requests: list[SpanFacts], capacity: int = 100) -> set[str]:
    """Return the spans that are duplicates after these requests."""
    calls = Calls(capacity)
    found: set[str] = set()
    for request in requests:
        answers = calls.duplicates(request)
        found |= {span.span_id.decode() for span, duplicate in zip(request, answers, strict=True) if duplicate}
    return found


OUTER, HTTP, INNER = call("outer"), between("http", "outer"), call("inner", "http")


@pytest.mark.parametrize("order", list(itertools.permutations([OUTER, HTTP, INNER])))
def test_innermost_counts_in_one_request(order: tuple[SpanFacts, ...]) -> None:
    """The order within a request says nothing."""
    assert marked(list(order)) == {"outer"}


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([[INNER], [HTTP], [OUTER]], {"outer"}),
        ([[INNER], [HTTP, OUTER]], {"outer"}),
        ([[INNER, HTTP], [OUTER]], {"outer"}),
        ([[HTTP], [INNER], [OUTER]], {"outer"}),
        ([[OUTER, HTTP], [INNER]], {"inner"}),
        ([[OUTER], [HTTP], [INNER]], {"inner"}),
        ([[HTTP], [OUTER], [INNER]], {"inner"}),
    ],
)
def test_across_requests(requests: list[list[SpanFacts]], expected: set[str]) -> None:
    """What was counted stays counted: the one that comes later is the duplicate."""
    assert marked(*requests) == expected


def test_wrappers_of_several_calls() -> None:
    """An outer span over several calls has the sum of their tokens, and is none of them."""
    inner = [call(f"inner {number}", "outer", f"id {number}") for number in range(3)]
    assert marked([*inner, call("outer", tokens=(30, 15))]) == {"outer"}


def test_three_layers() -> None:
    """Of three that wrap each other one counts."""
    assert marked([call("a"), call("b", "a"), call("c", "b")]) == {"a", "b"}


def test_call_within_a_tool_is_another_call() -> None:
    """A tool that calls a model, within the call that called the tool: both were paid for."""
    assert marked([call("outer"), between("tool", "outer", Role.BORDER), call("inner", "tool")]) == set()


def test_other_operations_are_other_calls() -> None:
    """An embedding within a chat is not the chat."""
    assert marked([call("outer"), call("inner", "outer", kind="embeddings")]) == set()


def test_other_answers_are_other_calls() -> None:
    """Two answers of the provider, with other tokens, are two calls."""
    assert marked([call("outer", "", "a"), call("inner", "outer", "b", (99, 98))]) == set()
    assert marked([call("outer", "", "own id"), call("inner", "outer", "provider's")]) == {"outer"}


@pytest.mark.parametrize(
    ("times", "tokens", "expected"),
    [((5, 15), (10, 5), {"two"}), ((11, 15), (10, 5), set()), ((5, 15), (10, 6), set())],
)
def test_two_instrumentations_side_by_side(times: tuple[int, int], tokens: tuple[int, int], expected: set[str]) -> None:
    """Spans of the same answer at the same time are one call; servers that reuse their ids answer one after another."""
    one = call("one", "root", "chatcmpl-1")._replace(times=(0, 10))
    assert marked([one], [call("two", "root", "chatcmpl-1", tokens)._replace(times=times)]) == expected


@pytest.mark.parametrize(("answer", "expected"), [("chatcmpl-5ab42208a5a2263ef9f83", {"two"}), ("chatcmpl-7", set())])
def test_same_answer_in_another_trace(answer: str, expected: set[str]) -> None:
    """The provider's span is in a trace of its own beneath an instrumentation that sets no context; ids must be ids."""
    other = call("two", "", answer)._replace(trace_id=b"other")
    assert marked([call("one", "", answer)], [other]) == expected


def test_same_span_again() -> None:
    """A request that comes again is answered as before."""
    calls = Calls(100)
    request = [OUTER, HTTP, INNER]
    assert calls.duplicates(request) == calls.duplicates(request) == [True, False, False]


def test_other_traces_are_apart() -> None:
    """Ids of spans mean something only within their trace."""
    other = INNER._replace(trace_id=b"other")
    assert marked([OUTER, HTTP], [other]) == set()


def test_memory_is_bounded() -> None:
    """The spans of old traces are forgotten; a single trace that is too large is forgotten too."""
    calls = Calls(50)
    for number in range(200):
        calls.duplicates([INNER._replace(trace_id=b"%d" % number), OUTER._replace(trace_id=b"%d" % number)])
        assert len(calls) <= 50
    calls.duplicates([call(str(number)) for number in range(500)])
    assert len(calls) == 0


def test_nothing_is_remembered_where_nothing_may_be() -> None:
    """With capacity 0 spans are compared within their request."""
    assert marked([OUTER, HTTP, INNER], capacity=0) == {"outer"}


def test_long_chains_and_cycles_end() -> None:
    """However deep or circular the parents are, the search ends."""
    chain = [between(str(number), str(number + 1)) for number in range(5 * STEPS)]
    assert marked([call("inner", "0"), *chain, call(str(5 * STEPS))]) == set()
    assert len(marked([call("a", "b"), call("b", "a")])) <= 1
    assert marked([call("self", "self")]) == set()


class _Compared(SpanFacts):
    """A span that counts how often it is compared."""

    comparisons = 0

    def __eq__(self, other: object) -> bool:
        _Compared.comparisons += 1
        return super().__eq__(other)

    __hash__ = SpanFacts.__hash__


@pytest.mark.parametrize("parent", [[], [between("root")] * 500], ids=["parent that never comes", "repeated parent"])
def test_many_calls_beneath_one_span(parent: list[SpanFacts]) -> None:
    """A batch of calls beneath one span is not compared call by call: that took minutes for 20,000."""
    _Compared.comparisons = 0
    calls = [_Compared(*call(str(number), "root", f"answer {number}")) for number in range(500)]
    assert marked([*calls, *parent], capacity=1000) == set()
    assert _Compared.comparisons <= 10 * len(calls)


def test_any_order_counts_once() -> None:
    """A chain of wrappers that comes in any order, in any requests, counts at least once and never has no call."""
    chain = [call("0"), *(call(str(number), str(number - 1)) for number in range(1, 6))]
    for seed in range(200):
        source = random.Random(seed)
        order = source.sample(chain, len(chain))
        cut = source.randrange(len(order) + 1)
        assert len(marked(order[:cut], order[cut:])) <= 5
        assert marked(sorted(order, key=lambda one: one.span_id, reverse=True)) == {"0", "1", "2", "3", "4"}
