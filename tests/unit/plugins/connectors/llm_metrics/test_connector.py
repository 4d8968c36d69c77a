"""Which calls are counted in which metrics, and how."""

from __future__ import annotations

import math
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from pydantic import ValidationError

from tests.support.metric_bench import Bench, run
from tests.support.metric_points import Point, SpanSketch, span_batch
from untrace_plugins.connectors.llm_metrics import FACTORY

RESOURCE = {"service.name": "shop", "service.namespace": "eu", "deployment.environment": "prod"}


def call(model: str = "gpt-4o", *, seconds: float = 2.0, code: int = 0, **more: Any) -> SpanSketch:
    """Return an LLM call; names of more attributes have two underscores for each dot."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        **{name.replace("__", "."): value for name, value in more.items()},
    }
    return SpanSketch(seconds=seconds, code=code, attributes=attributes, resource=RESOURCE)


def usage(tokens_in: Any, tokens_out: Any, **more: Any) -> dict[str, Any]:
    return {"gen_ai__usage__input_tokens": tokens_in, "gen_ai__usage__output_tokens": tokens_out, **more}


def counted(*sketches: SpanSketch, **options: Any) -> Bench:
    """Return a bench behind which these spans were counted in one flush."""

    async def steps(bench: Bench) -> None:
        await bench.connector.consume(span_batch(*sketches))

    return run(Bench(FACTORY, **options), steps)


def by(points: list[Point], key: str) -> dict[Any, float]:
    return {point.attributes.get(key): point.value for point in points}


def test_requests_by_all_dimensions() -> None:
    """One series per application, environment, operation, provider and model; the resource names the application."""
    bench = counted(call(), call(), call("o1"), exclude_dimensions=["collector.instance.id"])
    requests = bench.last("llm.requests")
    assert by(requests, "gen_ai.request.model") == {"gpt-4o": 2, "o1": 1}
    assert requests[0].attributes == {
        "service.name": "shop",
        "deployment.environment.name": "prod",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
    }
    assert requests[0].resource == {"service.name": "shop", "service.namespace": "eu"}
    assert requests[0].unit == "{request}"


def test_the_scope_names_the_component() -> None:
    """As that of all that the daemon makes itself."""
    (batch,) = counted(call()).sink.batches
    groups = ExportMetricsServiceRequest.FromString(batch.to_otlp()).resource_metrics
    assert {scope.scope.name for group in groups for scope in group.scope_metrics} == {"untrace-pipeline/llm_metrics"}


def test_tokens_by_type_and_cost() -> None:
    """Tokens of each type add up; cost is a sum of what is known, and absent where nothing is."""
    sketches = [
        call(**usage(100, 20, gen_ai__usage__cache_read__input_tokens=60, gen_ai__usage__cost=0.5)),
        call(**usage(10, 2, gen_ai__usage__reasoning__output_tokens=1, gen_ai__usage__cost=0.25)),
        call("local", **usage(7, 0)),
    ]
    bench = counted(*sketches)
    gpt = [point for point in bench.last("llm.tokens") if point.attributes["gen_ai.request.model"] == "gpt-4o"]
    assert by(gpt, "gen_ai.token.type") == {"input": 110, "output": 22, "cache_read": 60, "reasoning": 1}
    assert by(bench.last("llm.cost"), "gen_ai.request.model") == {"gpt-4o": 0.75}
    histogram = {p.attributes["gen_ai.token.type"]: p.data for p in bench.last("gen_ai.client.token.usage")[:2]}
    assert (histogram["input"].count, histogram["input"].sum) == (2, 110)
    assert list(histogram["input"].explicit_bounds)[:4] == [1, 4, 16, 64]
    assert list(histogram["input"].bucket_counts)[:6] == [0, 0, 1, 0, 1, 0]


def test_durations_and_first_chunks() -> None:
    """Seconds in the buckets of the conventions, and exemplars that name their spans."""
    bench = counted(call(seconds=0.3, gen_ai__response__time_to_first_chunk=0.05), call(seconds=100))
    (duration,) = bench.last("gen_ai.client.operation.duration")
    assert (duration.data.count, duration.data.sum, duration.unit) == (2, 100.3, "s")
    assert list(duration.data.bucket_counts) == [0, 0, 0, 0, 0, 1, *[0] * 8, 1]
    assert duration.data.exemplars[0].trace_id == bytes(range(1, 17))
    assert duration.data.exemplars[0].as_double == 0.3
    (chunk,) = bench.last("gen_ai.client.operation.time_to_first_chunk")
    assert (chunk.data.count, chunk.data.sum) == (1, 0.05)


def test_failures() -> None:
    """A failed call counts as request and as error, with its type, or one that says that there was none."""
    bench = counted(call(code=2), call(code=2, error__type="timeout"), call(error__type="429"), call())
    assert by(bench.last("llm.errors"), "error.type") == {"_OTHER": 1, "timeout": 1, "429": 1}
    assert sum(point.value for point in bench.last("llm.requests")) == 4
    durations = bench.last("gen_ai.client.operation.duration")
    assert {point.attributes.get("error.type"): point.data.count for point in durations} == {
        None: 1,
        "_OTHER": 1,
        "timeout": 1,
        "429": 1,
    }


def test_duplicates_do_not_count() -> None:
    """A span for whose call another one counts is skipped whole, and counted as skipped."""
    bench = counted(call(**usage(1, 1)), call(**usage(1, 1), untrace__usage__duplicate=True))
    assert [point.value for point in bench.last("llm.requests")] == [1]
    assert by(bench.last("llm.tokens"), "gen_ai.token.type") == {"input": 1, "output": 1}
    assert bench.meter.value("connector_skipped_spans", reason="duplicate") == 1


def test_other_spans_do_not_count() -> None:
    """Tools, agents and spans that are no operation make no metrics of the released conventions."""
    bench = counted(call(gen_ai__operation__name="execute_tool"), SpanSketch("GET /"), call(gen_ai__operation__name=7))
    assert bench.points() == []


def test_names_of_the_development_conventions() -> None:
    """The unreleased names: inference, counters per type of tokens, durations of agents and tools."""
    sketches = [
        call(**usage(5, 6)),
        call(gen_ai__operation__name="embeddings", **usage(9, 0)),
        call(gen_ai__operation__name="execute_tool", seconds=1),
    ]
    bench = counted(*sketches, semantic_conventions="development")
    assert {point.metric for point in bench.points()} == {
        "llm.requests",
        "llm.tokens",
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.execute_tool.duration",
    }
    assert [point.value for point in bench.last("gen_ai.client.inference.usage.input_tokens")] == [5]
    assert sum(point.value for point in bench.last("llm.requests")) == 2


def test_metrics_are_a_choice() -> None:
    """Any can be left out, renamed, or given other buckets."""
    metrics = {
        "llm.cost": {"name": "app.cost"},
        "gen_ai.client.token.usage": {"enabled": False},
        "gen_ai.client.operation.duration": {"buckets": [10, 1]},
    }
    bench = counted(call(**usage(1, 1, gen_ai__usage__cost=1.5)), metrics=metrics)
    names = {point.metric for point in bench.points()}
    assert "app.cost" in names
    assert not names & {"llm.cost", "gen_ai.client.token.usage"}
    assert list(bench.last("gen_ai.client.operation.duration")[0].data.bucket_counts) == [0, 1, 0]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"metrics": {"llm.prompts": {}}}, "there is no 'llm.prompts' in v1.41"),
        ({"metrics": {"gen_ai.client.inference.duration": {}}}, "there is no"),
        ({"metrics": {"llm.cost": {"buckets": [1]}}}, "is a sum"),
        ({"dimensions": [{"name": "gen_ai.request.model"}]}, "there already"),
        ({"semantic_conventions": "v1.40"}, "v1.41"),
    ],
)
def test_refuses(options: dict[str, Any], problem: str) -> None:
    """Each problem is named."""
    with pytest.raises(ValidationError, match=problem):
        FACTORY.config.model_validate(options)


def test_dimensions_of_spans_and_resources() -> None:
    """More dimensions come from the span, else the resource, else their default."""
    options = {"dimensions": [{"name": "user.id", "default": "nobody"}, {"glob": "service.namesp*"}]}
    bench = counted(call(user__id="u"), call(), **options)
    found = {(p.attributes["user.id"], p.attributes["service.namespace"]): p.value for p in bench.last("llm.requests")}
    assert found == {("u", "eu"): 1, ("nobody", "eu"): 1}


def test_absurd_values_are_left_out_and_counted() -> None:
    """Negative, endless, huge and mistyped values spoil no sum; the call itself still counts."""
    odd = [-1, math.nan, math.inf, 2**62, "12", True, [1], {"a": 1}]
    sketches = [call(**usage(value, 1)) for value in odd] + [call(seconds=-3), call("x" * 10_000_000)]
    bench = counted(*sketches)
    assert sum(point.value for point in bench.last("llm.requests")) == 10
    assert by(bench.last("llm.tokens"), "gen_ai.token.type") == {"output": 8}
    assert bench.meter.value("connector_ignored_values", attribute="gen_ai.usage.input_tokens") == 8
    assert bench.meter.value("connector_ignored_values", attribute="duration") == 1
    assert max(len(str(point.attributes)) for point in bench.points()) < 6000


def test_samplers_are_made_up_for() -> None:
    """A call of which every fourth was kept counts for four, with its tokens."""
    sketch = call(**usage(10, 1))
    sketch.state = "ot=th:c"
    bench = counted(sketch, call(**usage(1, 1)))
    assert [point.value for point in bench.last("llm.requests")] == [5]
    assert by(bench.last("llm.tokens"), "gen_ai.token.type") == {"input": 41, "output": 5}
    (duration,) = bench.last("gen_ai.client.operation.duration")
    assert duration.data.count == 5
    bench = counted(call(sampling__adjusted_count=3.0), call(sampling__adjusted_count=-1.0))
    assert [point.value for point in bench.last("llm.requests")] == [4]


def test_cardinality_is_limited_per_metric() -> None:
    """Beyond the limit one series counts the rest."""
    bench = counted(*[call(f"m{number}") for number in range(6)], aggregation_cardinality_limit=2)
    requests = bench.last("llm.requests")
    assert [point.value for point in requests] == [1, 1, 4]
    assert requests[-1].attributes == {"otel.metric.overflow": True}
    assert bench.meter.value("connector_overflow_spans") == 4


def test_exponential_histograms() -> None:
    """Buckets that adapt, for all histograms at once."""
    bench = counted(call(seconds=0.5), exponential_histograms={"enabled": True})
    (duration,) = bench.last("gen_ai.client.operation.duration")
    assert (duration.data.scale, list(duration.data.positive.bucket_counts)) == (20, [1])
