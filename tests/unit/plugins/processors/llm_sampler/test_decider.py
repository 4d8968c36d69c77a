"""Why a trace is kept, and how many it then stands for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.spans import SpanOf, spans_batch, trace_id
from untrace_pipeline.api import Kind, Workers
from untrace_pipeline.testing import RecordingMeter, make_settings
from untrace_plugins.processors.llm_sampler.config import LlmSamplerConfig
from untrace_plugins.processors.llm_sampler.decider import LlmDecider
from untrace_plugins.sampling.spans import Spans
from untrace_plugins.sampling.thresholds import probability_of, randomness_of_ids
from untrace_plugins.sampling.trace import Trace, Verdict

COST, INPUT, OUTPUT = "gen_ai.usage.cost", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
MODEL, ANSWERED = "gen_ai.request.model", "gen_ai.response.model"


class Clock:
    """Wall time as the test wants it; begins with an hour."""

    def __init__(self) -> None:
        self.now = 3600.0 * 500_000

    def __call__(self) -> float:
        return self.now


def decider(meter: RecordingMeter | None = None, clock: Clock | None = None, **options: Any) -> LlmDecider:
    config = LlmSamplerConfig.model_validate({"sampling_percentage": 0.1, **options})
    made = LlmDecider(config, make_settings(Kind.PROCESSOR, "llm_sampler", meter=meter), clock or Clock())
    made.start(Workers())
    return made


def verdicts(made: LlmDecider, spans: Iterable[SpanOf]) -> dict[int, Verdict]:
    """Decide about the traces of some spans, by number of the trace."""
    given = list(spans)
    found = Spans(spans_batch(given))
    answers = made.survey.ask(found.batch)
    traces = []
    for one, rows in found.rows.items():
        traces.append(Trace(one, 0.0, made.survey.begin(), []))
        answers.tell(traces[-1], rows)
    numbers = {trace_id(span.trace): span.trace for span in given}
    return {numbers[trace.id]: said for trace, said in zip(traces, made.decide(traces), strict=True)}


def kept_for(spans: Iterable[SpanOf], **keep: Any) -> dict[int, str]:
    """Return why traces are kept that chance does not keep."""
    unlucky = [span for span in spans if randomness_of_ids([trace_id(span.trace)])[0] < 2**56 * 0.999]
    return {number: said.policy for number, said in verdicts(decider(keep=keep), unlucky).items() if said.keep}


def test_errors_are_kept() -> None:
    """By status or by type; unless that is switched off."""
    spans = [SpanOf(1, error=True), SpanOf(2, attributes={"error.type": "timeout"}), SpanOf(3), SpanOf(3)]
    assert kept_for(spans) == {1: "errors", 2: "errors"}
    assert kept_for(spans, errors=False) == {}


def test_cost_is_that_of_the_whole_trace() -> None:
    """Spans that another one counts for are left out."""
    spans = [
        *(SpanOf(1, attributes={COST: 0.3}) for _ in range(2)),
        *(SpanOf(2, attributes={COST: 0.3, "untrace.usage.duplicate": twice}) for twice in (True, False)),
        SpanOf(3, attributes={COST: 1}),
        SpanOf(4),
    ]
    assert kept_for(spans, min_cost=0.5) == {1: "cost", 3: "cost"}


def test_tokens_are_those_of_the_whole_trace() -> None:
    """Input and output, of all spans that count."""
    spans = [
        SpanOf(1, attributes={INPUT: 600, OUTPUT: 100}),
        SpanOf(1, attributes={INPUT: 300}),
        SpanOf(2, attributes={INPUT: 999}),
        SpanOf(3, attributes={INPUT: 5000, "untrace.usage.duplicate": True}),
    ]
    assert kept_for(spans, min_tokens=1000) == {1: "tokens"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, "5", True, [5]])
def test_values_that_cannot_be_are_left_out_and_counted(value: Any) -> None:
    """They neither keep a trace nor spoil its sum."""
    meter = RecordingMeter()
    made = decider(meter, keep={"min_cost": 0.5, "min_tokens": 10})
    bad = {COST: value, INPUT: value if not isinstance(value, float) else 2**60}
    said = verdicts(made, [SpanOf(1, attributes=bad), SpanOf(2, attributes=bad), SpanOf(2, attributes={COST: 0.6})])
    assert {number: one.policy for number, one in said.items()} == {1: "", 2: "cost"}
    assert meter.value("processor_llm_sampler_invalid_values") == 4


def test_latency_is_from_first_start_to_last_end() -> None:
    """Of all spans; negative ones last no time."""
    spans = [
        SpanOf(1, seconds=4),
        SpanOf(1, seconds=4, start=7),
        SpanOf(2, seconds=9),
        SpanOf(3, seconds=-50),
    ]
    assert kept_for(spans, min_latency="10s") == {1: "latency"}


def test_tags_models_and_conditions() -> None:
    """Of any span; models with wildcards, requested or answering."""
    spans = [
        SpanOf(1, attributes={"untrace.tags": ["a", "vip"]}),
        SpanOf(2, attributes={"untrace.tags": "vip"}),
        SpanOf(3, attributes={"untrace.tags": [7, "VIP"]}),
        SpanOf(4, attributes={MODEL: "claude-opus-4"}),
        SpanOf(5, attributes={MODEL: "router", ANSWERED: "o3"}),
        SpanOf(6, attributes={MODEL: "o3-mini"}),
        SpanOf(7, attributes={"user.id": "u-1"}),
        SpanOf(8, attributes={MODEL: ["o3"], "untrace.tags": 5}),
    ]
    keep = {
        "tags": ["vip"],
        "models": ["claude-*", "o3"],
        "conditions": [{"field": 'attributes["user.id"]', "operator": "eq", "value": "u-1"}],
    }
    expected = {1: "tags", 2: "tags", 4: "models", 5: "models", 7: "conditions"}
    assert kept_for(spans, **keep) == expected


def share(said: dict[int, Verdict], numbers: Iterable[int]) -> float:
    """Return the share of some traces that is kept."""
    asked = list(numbers)
    return sum(said[number].keep for number in asked) / len(asked)


def test_the_rest_is_sampled_by_chance() -> None:
    """Consistently by trace id: what a small share keeps a larger one keeps too, and explicit randomness goes first."""
    spans = [SpanOf(number) for number in range(4000)]
    ten, fifty = verdicts(decider(sampling_percentage=10), spans), verdicts(decider(sampling_percentage=50), spans)
    assert 0.08 < share(ten, range(4000)) < 0.12
    assert {number for number, said in ten.items() if said.keep} <= {n for n, said in fifty.items() if said.keep}
    assert {probability_of(said.threshold) for said in fifty.values() if said.keep} == {0.5}
    marked = [SpanOf(1, trace_state="ot=rv:ffffffffffffff"), SpanOf(2, trace_state="ot=rv:00000000000000")]
    assert [said.keep for said in verdicts(decider(), marked).values()] == [True, False]


def test_rates_differ_by_model_and_tag() -> None:
    """The first that fits holds; it needs all that it names."""
    rates = [
        {"models": ["mini"], "tags": ["batch"], "sampling_percentage": 0},
        {"models": ["mini"], "sampling_percentage": 20},
        {"conditions": ['name == "special"'], "sampling_percentage": 100},
    ]
    spans = [SpanOf(n, attributes={MODEL: "mini"}) for n in range(1000)]
    spans += [SpanOf(n, attributes={MODEL: "mini", "untrace.tags": ["batch"]}) for n in range(1000, 2000)]
    spans += [SpanOf(n, "special") for n in range(2000, 2100)]
    said = verdicts(decider(rates=rates), spans)
    assert 0.15 < share(said, range(1000)) < 0.25
    assert share(said, range(1000, 2000)) == 0
    assert share(said, range(2000, 2100)) == 1


def test_chances_grow_with_cost() -> None:
    """What is kept still stands for the right number of traces, and of dollars."""
    costs = {number: 0.01 * (1 + number % 50) for number in range(6000)}
    spans = [SpanOf(number, attributes={COST: cost}) for number, cost in costs.items()]
    said = verdicts(decider(sampling_percentage=1, cost_of_certainty=0.25), spans)
    assert share(said, [n for n, cost in costs.items() if cost >= 0.26]) == 1
    assert 0.4 < share(said, [n for n, cost in costs.items() if 0.115 < cost < 0.135]) < 0.55
    kept = {number: 1 / probability_of(one.threshold) for number, one in said.items() if one.keep}
    assert sum(kept.values()) == pytest.approx(6000, rel=0.1)
    assert sum(count * costs[number] for number, count in kept.items()) == pytest.approx(sum(costs.values()), rel=0.05)
    assert len({one.threshold for one in said.values()}) < 60


def an_hour(made: LlmDecider, clock: Clock, per_second: float, begin: int, cost: float = 0.0) -> dict[int, Verdict]:
    """Let traces come for an hour, and decide about those of every second."""
    said: dict[int, Verdict] = {}
    number = begin
    for second in range(3600):
        until = begin + int((second + 1) * per_second)
        if number < until:
            said |= verdicts(made, [SpanOf(n, attributes={COST: cost}) for n in range(number, until)])
        number = until
        clock.now += 1
    return said


def total(said: dict[int, Verdict]) -> tuple[int, float]:
    """Return how many are kept, and how many they stand for."""
    kept = [one for one in said.values() if one.keep]
    return len(kept), sum(1 / probability_of(one.threshold) for one in kept)


def test_an_hour_has_at_least_so_many() -> None:
    """Chances are raised where the share alone keeps too few, and adjusted counts follow."""
    clock = Clock()
    made = decider(clock=clock, sampling_percentage=1, hourly={"min_traces": 200})
    for hour in range(2):
        kept, stands_for = total(an_hour(made, clock, 1, hour * 3600))
        assert 180 <= kept <= 280
        assert stands_for == pytest.approx(3600, rel=0.2)


def test_an_hour_with_few_keeps_all() -> None:
    """There are no more than there are."""
    clock = Clock()
    made = decider(clock=clock, hourly={"min_traces": 500})
    assert total(an_hour(made, clock, 0.05, 0)) == (180, 180.0)


def test_an_hour_has_at_most_so_many() -> None:
    """Chances are lowered in time, so that the whole hour is represented."""
    clock = Clock()
    made = decider(clock=clock, sampling_percentage=50, hourly={"max_traces": 100})
    an_hour(made, clock, 2, 0)
    kept, stands_for = total(an_hour(made, clock, 2, 7200))
    assert 70 <= kept <= 100
    assert stands_for == pytest.approx(7200, rel=0.35)


def test_an_hour_costs_so_much() -> None:
    """Dollars of what is kept by chance."""
    clock = Clock()
    made = decider(clock=clock, sampling_percentage=50, hourly={"target_cost": 10.0})
    an_hour(made, clock, 2, 0, cost=0.1)
    kept, _ = total(an_hour(made, clock, 2, 7200, cost=0.1))
    assert 7 <= kept * 0.1 <= 10.1


def test_what_is_always_kept_counts_and_is_not_bounded() -> None:
    """Errors use up what an hour may bring, and are kept beyond it."""
    clock = Clock()
    made = decider(clock=clock, sampling_percentage=100, hourly={"max_traces": 10})
    said = verdicts(made, [SpanOf(number, error=number < 20) for number in range(40)])
    assert {number for number, one in said.items() if one.keep} == set(range(20))


def test_workers_have_a_part_each() -> None:
    """Of the bounds of an hour."""
    clock = Clock()
    made = decider(clock=clock, sampling_percentage=100, hourly={"max_traces": 40})
    made.start(Workers(0, 4))
    assert sum(one.keep for one in verdicts(made, [SpanOf(number) for number in range(40)]).values()) == 10
