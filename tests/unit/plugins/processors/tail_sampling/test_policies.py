"""Parts of the policies, each against what the Collector's libraries do."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.spans import SpanOf, spans_batch
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Field, Level
from untrace_pipeline.testing import RecordingMeter, make_settings
from untrace_plugins.processors.tail_sampling.chance import hash_limit
from untrace_plugins.processors.tail_sampling.config import TailSamplingConfig
from untrace_plugins.processors.tail_sampling.decider import PolicyDecider
from untrace_plugins.processors.tail_sampling.limits import RateShare, TokenBucket
from untrace_plugins.processors.tail_sampling.policies import Clocks
from untrace_plugins.processors.tail_sampling.trace_state import read_entries
from untrace_plugins.sampling.folds import LatencyWithin
from untrace_plugins.sampling.spans import Spans
from untrace_plugins.sampling.trace import Trace

START, END = Field(Level.ITEM, "start_time_unix_nano"), Field(Level.ITEM, "end_time_unix_nano")


class Clock:
    """Time as the test wants it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def decider(
    *policies: dict[str, Any], clock: Clock | None = None, meter: RecordingMeter | None = None, **options: Any
) -> PolicyDecider:
    named = [{"name": f"p{number}", **policy} for number, policy in enumerate(policies)]
    config = TailSamplingConfig.model_validate({"policies": named, **options})
    time = clock or Clock()
    return PolicyDecider(config, make_settings(Kind.PROCESSOR, "tail_sampling/x", meter=meter), Clocks(time, time))


def decide(made: PolicyDecider, *spans: SpanOf) -> list[str]:
    """Return the policies that sample the traces of some spans, empty where none does, in order of the traces."""
    found = Spans(spans_batch(spans))
    answers = made.survey.ask(found.batch)
    fragments = found.fragments(found.batch.context)
    traces = []
    for one, rows in found.rows.items():
        traces.append(Trace(one, 0.0, made.survey.begin(), [fragments[one]]))
        answers.tell(traces[-1], rows)
    return [said.policy for said in made.decide(traces)]


# The Collector multiplies with big.Float: go run of its formula.
LIMITS = [
    (-1.0, 0),
    (0.0, 0),
    (1e-30, 0),
    (5.4e-20, 0),
    (1e-19, 1),
    (0.001, 18446744073709551),
    (0.01, 184467440737095519),
    (0.1, 1844674407370955263),
    (1 / 3, 6148914691236516863),
    (0.333, 6142765776545281023),
    (0.5, 9223372036854775807),
    (0.7, 12912720851596685311),
    (0.9999999999999999, 18446744073709549567),
    (1.0, 18446744073709551615),
    (1.5, 18446744073709551615),
    (1e10, 18446744073709551615),
]


@pytest.mark.parametrize(("ratio", "limit"), LIMITS)
def test_the_share_of_all_hashes(ratio: float, limit: int) -> None:
    """To the last of 64 bits, as the Collector computes it."""
    assert hash_limit(ratio) == limit


@given(st.floats(0, 2))
def test_the_share_grows_with_the_ratio(ratio: float) -> None:
    """And is never more than all."""
    assert hash_limit(ratio) <= hash_limit(math.nextafter(ratio, 3)) <= 2**64 - 1


def test_a_bucket_begins_full_and_fills_continuously() -> None:
    """What is too much at once never passes; a refusal costs nothing."""
    clock = Clock()
    bucket = TokenBucket(10, 25, clock)
    assert not bucket.take(26)
    assert bucket.take(25)
    assert not bucket.take(1)
    clock.now += 0.1
    assert bucket.take(1)
    assert not bucket.take(1)
    clock.now += 100
    assert bucket.take(25)
    clock.now -= 50
    assert not bucket.take(1)


def test_a_bucket_that_does_not_fill() -> None:
    """A rate of 0 spends its burst."""
    bucket = TokenBucket(0, 2, Clock())
    assert [bucket.take(1) for _ in range(3)] == [True, True, False]


def test_a_share_is_that_of_a_second() -> None:
    """And begins anew with the next."""
    share = RateShare(5)
    assert [share.take(3, 1), share.take(3, 1), share.take(2, 1), share.take(1, 1), share.take(5, 2)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_rates_are_drawn_on_in_order() -> None:
    """A policy behind one that samples is asked, and draws, unless the first match ends the asking."""
    limits = [{"type": "rate_limiting", "rate_limiting": {"spans_per_second": 1}}] * 2
    spans = [SpanOf(number) for number in range(5)]
    assert decide(decider(*limits), *spans) == ["p0", "p0", "", "", ""]
    assert decide(decider(*limits, sample_on_first_match=True), *spans) == ["p0", "p0", "p1", "p1", ""]


def test_an_and_draws_only_where_all_before_it_sample() -> None:
    """Policies are asked in order, up to the first that does not sample."""
    parts = [
        {"type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"type": "rate_limiting", "rate_limiting": {"spans_per_second": 1}},
    ]
    made = decider({"type": "and", "and": {"and_sub_policy": parts}})
    spans = [SpanOf(number, error=number % 2 == 1) for number in range(8)]
    assert decide(made, *spans) == ["", "p0", "", "p0", "", "", "", ""]


def test_a_composite_shares_a_rate() -> None:
    """Per calendar second and policy; the first that samples decides, also where nothing is left for it."""
    parts = [
        {"name": "a", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "b", "type": "always_sample"},
    ]
    allocation = [{"policy": "a", "percent": 50}, {"policy": "b", "percent": 25}]
    clock = Clock()
    made = decider(
        {
            "type": "composite",
            "composite": {
                "max_total_spans_per_second": 4,
                "composite_sub_policy": parts,
                "rate_allocation": allocation,
            },
        },
        clock=clock,
    )
    spans = [SpanOf(number, error=number < 3) for number in range(6)]
    assert decide(made, *spans) == ["p0", "p0", "", "p0", "", ""]
    clock.now += 1
    assert decide(made, *spans) == ["p0", "p0", "", "p0", "", ""]


def test_sizes_are_those_of_the_serialized_spans() -> None:
    """A bytes_limiting policy lets small traces pass."""
    made = decider({"type": "bytes_limiting", "bytes_limiting": {"bytes_per_second": 10**9, "burst_capacity": 500}})
    assert decide(made, SpanOf(1, attributes={"text": "x" * 600}), SpanOf(2)) == ["", "p0"]


def test_a_policy_without_an_answer_says_nothing() -> None:
    """With error_mode propagate; the error is counted, and others decide."""
    meter = RecordingMeter()
    broken = {
        "type": "ottl_condition",
        "ottl_condition": {"error_mode": "propagate", "span": ['ParseJSON(span.attributes["x"])["a"] == 1']},
    }
    made = decider(broken, {"type": "latency", "latency": {"threshold_ms": 5000}}, meter=meter)
    spans = [SpanOf(1), SpanOf(2, seconds=9), SpanOf(3, attributes={"x": '{"a": 1}'}), SpanOf(4, attributes={"x": "{"})]
    assert decide(made, *spans) == ["", "p1", "p0", ""]
    assert meter.value("processor_tail_sampling_sampling_policy_evaluation_error") == 3
    said = {
        word: meter.value("processor_tail_sampling_count_traces_sampled", policy="x.p0", decision=word)
        for word in ("sampled", "not_sampled")
    }
    assert said == {"sampled": 1, "not_sampled": 0}


def test_a_condition_of_our_own_form() -> None:
    """Is as good as OTTL."""
    own = {"any": [{"field": 'attributes["cost"]', "operator": "gt", "value": 1}, 'name == "x"']}
    made = decider({"type": "ottl_condition", "ottl_condition": {"span": [own]}})
    spans = [SpanOf(1, attributes={"cost": 2.5}), SpanOf(2, "x"), SpanOf(3, attributes={"cost": "many"})]
    assert decide(made, *spans) == ["p0", "p0", ""]


@pytest.mark.parametrize(
    ("times", "sampled"),
    [
        ([(1, 2_000_000)], False),
        ([(1, 2_000_001)], True),
        ([(10_000_000, 10_000_001), (1, 2)], True),
        ([(0, 5_000_000), (4_999_999, 5_000_000)], True),
        ([(5_000_000, 1)], False),
        ([(2**63 - 1, 2**63 + 1)], False),
        ([(2**63 + 1, 2**63 - 1)], True),
        ([(2**64 - 5_000_000, 3)], True),
    ],
)
def test_latency_is_that_of_64_bits(times: list[tuple[int, int]], sampled: bool) -> None:
    """Over whole milliseconds; zeros are replaced, and what is beyond 2**63 lies before the epoch."""
    batch = spans_batch([SpanOf(1) for _ in times])
    batch.set(START, [start for start, _ in times])
    batch.set(END, [end for _, end in times])
    fold = LatencyWithin(1, 0)
    columns = dict(zip(fold.fields, batch.columns(fold.fields), strict=True))
    state = fold.add(fold.initial, fold.prepare(batch, columns), range(len(times)))  # type: ignore[arg-type]  integers
    assert (state is None) is sampled


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        (" \ta=1 \t,b=2,,", {"a": "1", "b": "2"}),
        ("t@a=1,0t@b=2", {"t@a": "1", "0t@b": "2"}),
        ("a=1,a=1", None),
        ("0a=1", None),
        ("A=1", None),
        ("a=", None),
        ("a=1=2", None),
        ("a", None),
        ("a= 1 ", {"a": " 1"}),
        (f"{'a' * 256}=1", {"a" * 256: "1"}),
        (f"{'a' * 257}=1", None),
        (f"a={'1' * 256}", {"a": "1" * 256}),
        (f"a={'1' * 257}", None),
        (",".join(f"a{n}=1" for n in range(32)), {f"a{n}": "1" for n in range(32)}),
        (",".join(f"a{n}=1" for n in range(33)), None),
        ("ä=1", None),
        ("a=ä", None),
    ],
)
def test_tracestate_is_read_as_the_go_sdk_reads_it(text: str, entries: dict[str, str] | None) -> None:
    """All of it, or nothing."""
    assert read_entries(text) == entries


@given(st.text(max_size=60))
def test_any_tracestate_can_be_read(text: str) -> None:
    """Whatever it says."""
    found = read_entries(text)
    assert found is None or all(key and value for key, value in found.items())
