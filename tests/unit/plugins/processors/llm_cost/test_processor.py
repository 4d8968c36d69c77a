"""What the cost processor writes onto spans."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage as LibraryUsage
from genai_prices import calc_price

from tests.support.codecs import each_codec
from tests.support.components import until
from untrace_pipeline.api import Kind, StartError
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import RecordingMeter, StubHost, make_batch, make_settings
from untrace_pipeline.testing.generate import make_request
from untrace_plugins.genai import names
from untrace_plugins.processors.llm_cost import FACTORY
from untrace_plugins.processors.llm_cost import processor as processor_module
from untrace_plugins.processors.llm_cost.processor import LlmCost

pytestmark = pytest.mark.usefixtures("each_codec")
__all__ = ["each_codec"]

ATTRIBUTES = Field(Level.ITEM, "attributes")
START, END = Field(Level.ITEM, "start_time_unix_nano"), Field(Level.ITEM, "end_time_unix_nano")
NOON = 1_795_176_000_000_000_000
CALL: dict[str, Any] = {
    names.OPERATION: "chat",
    names.PROVIDER: "openai",
    names.RESPONSE_MODEL: "gpt-4o-2024-08-06",
    names.USAGE_INPUT: 1000,
    names.USAGE_CACHE_READ: 400,
    names.USAGE_OUTPUT: 200,
}
TOTAL = 600 * 2.5e-6 + 400 * 1.25e-6 + 200 * 1e-5


def processor(meter: RecordingMeter | None = None, **options: Any) -> LlmCost:
    """Return a processor with these options."""
    settings = make_settings(Kind.PROCESSOR, "llm_cost", signals=[Signal.TRACES], meter=meter)
    return FACTORY.create(FACTORY.config.model_validate(options), settings)


def spans(*attributes: dict[str, Any], seconds: float = 2.0) -> Batch:
    """Return spans with exactly these attributes, and that duration."""
    batch = make_batch(items=len(attributes))
    batch.set(ATTRIBUTES, list(attributes))
    batch.set(START, [NOON] * len(attributes))
    batch.set(END, [NOON + int(seconds * 1e9)] * len(attributes))
    return Batch(Signal.TRACES, batch.to_otlp())


def written(batch: Batch | None) -> list[dict[str, Any]]:
    """Return the attributes of a batch that has gone over the wire."""
    assert batch is not None
    return Batch(batch.signal, batch.to_otlp()).column(ATTRIBUTES)  # type: ignore[return-value]


def priced(attributes: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return what is new on one span."""
    (after,) = written(processor(**options).process(spans(attributes)))
    assert after.keys() >= attributes.keys()
    return {name: value for name, value in after.items() if attributes.get(name) != value}


def test_a_call_has_its_cost_and_its_parts() -> None:
    """Total and parts are there, cached input within input, and how fast it was."""
    assert priced(CALL) == {
        names.COST_STATUS: "ok",
        names.USAGE_COST: pytest.approx(TOTAL),
        names.COST_TOTAL: pytest.approx(TOTAL),
        names.COST_INPUT: pytest.approx(600 * 2.5e-6 + 400 * 1.25e-6),
        names.COST_CACHE_READ: pytest.approx(400 * 1.25e-6),
        names.COST_OUTPUT: pytest.approx(200 * 1e-5),
        names.TOKENS_PER_SECOND: 100.0,
    }


def test_the_families_that_are_asked_for_are_written() -> None:
    """Each destination's attributes are there, and no others."""
    found = priced(CALL, write=["openinference", "langfuse", "langwatch", "posthog"], derive=False)
    assert found.pop(names.COST_STATUS) == "ok"
    assert json.loads(found.pop("langfuse.observation.cost_details"))["total"] == pytest.approx(TOTAL)
    assert found.keys() == {
        "llm.cost.total",
        "llm.cost.prompt",
        "llm.cost.prompt_details.input",
        "llm.cost.prompt_details.cache_read",
        "llm.cost.completion",
        "llm.cost.completion_details.output",
        "langwatch.span.cost",
        "$ai_total_cost_usd",
        "$ai_input_cost_usd",
        "$ai_output_cost_usd",
    }


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({names.DUPLICATE: True}, "duplicate"),
        ({names.USAGE_INPUT: None, names.USAGE_OUTPUT: None, names.USAGE_CACHE_READ: None}, "no_usage"),
        ({names.RESPONSE_MODEL: None}, "no_model"),
        ({names.RESPONSE_MODEL: 7}, "no_model"),
        ({names.RESPONSE_MODEL: "our-own"}, "unknown_model"),
        ({names.PROVIDER: "our-own"}, "unknown_model"),
        *[({names.USAGE_INPUT: absurd}, "invalid_usage") for absurd in (-1, 1e308, "1000", True, 1.5, 10**12, [1])],
        ({names.USAGE_OUTPUT: -5}, "invalid_usage"),
        ({names.USAGE_OUTPUT: math.nan}, "invalid_usage"),
        ({names.USAGE_OUTPUT: math.inf}, "invalid_usage"),
        ({names.USAGE_CACHE_READ: 1001}, "invalid_usage"),
        ({names.USAGE_REASONING: 201}, "invalid_usage"),
        ({names.USAGE_INPUT: "x", names.USAGE_OUTPUT: "y", names.USAGE_CACHE_READ: None}, "invalid_usage"),
    ],
)
def test_what_has_no_cost_says_why(changes: dict[str, Any], status: str) -> None:
    """An unknown cost is absent, never 0, and the reason is on the span and counted."""
    span = {name: value for name, value in (CALL | changes).items() if value is not None}
    meter = RecordingMeter()
    (after,) = written(processor(meter, derive=False).process(spans(span)))
    assert after[names.COST_STATUS] == status
    assert not [name for name in after if "cost" in name and name != names.COST_STATUS]
    assert meter.value("processor_llm_cost_spans", status=status) == 1


def test_whole_floats_are_counts() -> None:
    """Libraries for JavaScript send counts as floats."""
    assert priced(CALL | {names.USAGE_INPUT: 1000.0})[names.USAGE_COST] == pytest.approx(TOTAL)


def test_a_free_model_costs_nothing() -> None:
    """A price of 0 is known, and not the same as unknown."""
    span = CALL | {names.RESPONSE_MODEL: "home-grown"}
    found = priced(span, prices=[{"model": "home-grown", "input": 0}], derive=False)
    assert (found[names.COST_STATUS], found[names.USAGE_COST]) == ("ok", 0.0)


REPORTED = [
    {names.USAGE_COST: 0.5},
    {"operation.cost": 0.5},
    {"gen_ai.cost.total_cost": 0.5, "gen_ai.cost.input_cost": 0.2, "gen_ai.cost.output_cost": 0.3},
    {"llm.cost.total": 0.5},
    {"langwatch.span.cost": 0.5},
    {"langfuse.observation.cost_details": '{"input": 0.2, "output": 0.3, "total": 0.5}'},
]


@pytest.mark.parametrize("reported", REPORTED, ids=lambda reported: next(iter(reported)))
def test_a_reported_cost_counts_as_the_option_says(reported: dict[str, Any]) -> None:
    """Preferred, taken where nothing else is known, or ignored."""
    unknown = {**CALL, names.RESPONSE_MODEL: "our-own", **reported}
    known = CALL | reported
    found = {
        (option, name): (after[names.COST_STATUS], round(after.get(names.COST_TOTAL, -1), 6))
        for option in ("prefer", "fallback", "ignore")
        for name, span in (("known", known), ("unknown", unknown))
        for after in written(processor(reported=option).process(spans(span)))
    }
    assert found == {
        ("prefer", "known"): ("reported", 0.5),
        ("prefer", "unknown"): ("reported", 0.5),
        ("fallback", "known"): ("ok", round(TOTAL, 6)),
        ("fallback", "unknown"): ("reported", 0.5),
        ("ignore", "known"): ("ok", round(TOTAL, 6)),
        ("ignore", "unknown"): ("unknown_model", -1),
    }


@pytest.mark.parametrize("absurd", [0, 0.0, -1, "0.5", math.nan, math.inf, 1e308, True, [0.5]])
def test_an_absurd_report_is_none(absurd: Any) -> None:
    """A reported 0 stands for unknown, and what is no amount counts for nothing."""
    span = {**CALL, names.RESPONSE_MODEL: "our-own", "operation.cost": absurd}
    (after,) = written(processor(reported="prefer").process(spans(span)))
    assert after[names.COST_STATUS] == "unknown_model"


@pytest.mark.parametrize("details", ["{", "[]", "7", '{"total": "x"}', "{}", '{"total": {}}', "[" * 5000])
def test_broken_details_are_none(details: str) -> None:
    """Cost details that are no JSON object with a total are passed over."""
    span = {**CALL, names.RESPONSE_MODEL: "our-own", "langfuse.observation.cost_details": details}
    (after,) = written(processor(reported="prefer").process(spans(span)))
    assert after[names.COST_STATUS] == "unknown_model"


def test_pricing_twice_changes_nothing() -> None:
    """What has been priced, here or by a daemon before, stays as it is, under any option."""
    once = written(processor().process(spans(CALL, CALL | {names.DUPLICATE: True})))
    again = processor(reported="prefer", prices=[{"model": "*", "input": 99}])
    assert written(again.process(spans(*once))) == once


def test_an_unknown_model_gets_its_chance_later() -> None:
    """A status that says unknown does not keep a processor with more prices from pricing."""
    span = CALL | {names.RESPONSE_MODEL: "our-own", names.COST_STATUS: "unknown_model"}
    assert priced(span, prices=[{"model": "our-*", "input": 1}])[names.COST_STATUS] == "ok"


def test_only_calls_to_models_are_priced() -> None:
    """An agent that repeats the tokens of its calls, a tool and a foreign span are left alone."""
    others = [CALL | {names.OPERATION: word} for word in ("invoke_agent", "execute_tool", "retrieval")]
    foreign = [{"http.route": "/"}, {names.OPERATION: 7}, {names.OPERATION: ["chat"]}]
    batch = spans(*others, *foreign)
    before = batch.to_otlp()
    result = processor().process(batch)
    assert result is not None
    assert not result.edited
    assert result.to_otlp() == before


def test_the_service_tier_selects_the_price() -> None:
    """A flex call costs half, by the tier that answered."""
    span = {**CALL, names.RESPONSE_MODEL: "o3", names.OPENAI_RESPONSE_SERVICE_TIER: "flex"}
    expected = calc_price(
        LibraryUsage(input_tokens=1000, cache_read_tokens=400, output_tokens=200),
        "o3",
        provider_id="openai",
        genai_request_timestamp=datetime.fromtimestamp(NOON / 1e9, UTC),
        price_context={"service_tier": "flex"},
    ).total_price
    assert priced(span)[names.USAGE_COST] == pytest.approx(float(expected))


def test_totals_are_counted_by_model() -> None:
    """Dollars add up under the names of the price list, of which there are only so many."""
    meter = RecordingMeter()
    unknown = CALL | {names.RESPONSE_MODEL: "x", "operation.cost": 0.25}
    processor(meter).process(spans(CALL, CALL | {names.RESPONSE_MODEL: "gpt-4o"}, unknown))
    assert meter.value("processor_llm_cost_usd", provider="openai", model="gpt-4o") == pytest.approx(2 * TOTAL)
    assert meter.value("processor_llm_cost_usd", provider="reported", model="reported") == 0.25


def test_a_span_that_ends_before_it_starts_has_no_speed() -> None:
    """Negative durations are counted, and their cost is known all the same."""
    meter = RecordingMeter()
    (after,) = written(processor(meter).process(spans(CALL, seconds=-1)))
    assert names.TOKENS_PER_SECOND not in after
    assert after[names.COST_STATUS] == "ok"
    assert meter.value("processor_llm_cost_invalid_durations") == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("First Token Stream Event", 0.5),
        ("ai.stream.firstChunk", 0.5),
        ("mlflow.chunk.item.0", 0.5),
        ("exception", None),
    ],
)
def test_the_first_chunk_is_found_among_events(name: str, expected: float | None) -> None:
    """The first event that tells of a chunk says when it came; a span that knows by itself is left alone."""
    request = make_request(Signal.TRACES, 2)
    for number, span in enumerate(request.resource_spans[0].scope_spans[0].spans):
        del span.attributes[:], span.events[:]
        span.start_time_unix_nano, span.end_time_unix_nano = NOON, NOON + 10**9
        for moment in (500_000_000, 700_000_000):
            span.events.add(name=name, time_unix_nano=NOON + moment * (number + 1))
    batch = Batch(Signal.TRACES, request.SerializeToString())
    batch.set(ATTRIBUTES, [CALL, CALL | {names.RESPONSE_TIME_TO_FIRST_CHUNK: 0.1}])
    first, second = written(processor().process(batch))
    assert first.get(names.RESPONSE_TIME_TO_FIRST_CHUNK) == expected
    assert second[names.RESPONSE_TIME_TO_FIRST_CHUNK] == 0.1


async def test_a_price_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A new content comes into force while the daemon runs; a broken one leaves the old in force."""
    monkeypatch.setattr(processor_module, "CHECK_SECONDS", 0.01)
    file = tmp_path / "prices.yaml"
    file.write_text("prices: [{model: our-own, input: 1000, output: 0}]")
    costs, host = processor(price_file=str(file)), StubHost()
    await costs.start(host)

    def cost() -> Any:
        return written(costs.process(spans(CALL | {names.RESPONSE_MODEL: "our-own"})))[0][names.USAGE_COST]

    def rewrite(text: str) -> None:
        other = tmp_path / "new"
        other.write_text(text)
        other.rename(file)

    assert cost() == 1.0
    rewrite("prices: 3")
    await until(lambda: "the old prices stay in force" in caplog.text)
    assert cost() == 1.0
    rewrite("prices: [{model: our-own, input: 3000, output: 0}]")
    await until(lambda: cost() == 3.0)
    await costs.shutdown()
    await costs.shutdown()
    assert all(task.done() for task in host.tasks)


def test_a_price_file_is_read_where_nobody_starts_the_processor(tmp_path: Path) -> None:
    """Inside another component it is read at the first call."""
    file = tmp_path / "prices.yaml"
    file.write_text("prices: [{model: our-own, input: 1000, output: 0}]")
    assert priced(CALL | {names.RESPONSE_MODEL: "our-own"}, price_file=str(file))[names.USAGE_COST] == 1.0


@pytest.mark.parametrize(("text", "words"), [(None, "cannot read"), ("prices: 3", "a list of prices")])
def test_a_price_file_that_cannot_be_used_stops_the_start(tmp_path: Path, text: str | None, words: str) -> None:
    """The daemon does not start with prices that it was told to use and cannot."""
    file = tmp_path / "prices.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(StartError, match=words):
        asyncio.run(processor(price_file=str(file)).start(StubHost()))


def test_columns_of_all_spans_are_written_at_once() -> None:
    """Spans of all sorts, side by side, each keep what is theirs."""
    found = written(processor().process(spans({"a": 1}, CALL, CALL | {names.DUPLICATE: True}, {"b": 2})))
    assert [after.get(names.COST_STATUS) for after in found] == [None, "ok", "duplicate", None]
    assert [names.USAGE_COST in after for after in found] == [False, True, False, False]
