"""Where data goes."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from untrace_pipeline.api import (
    Connector,
    ConsumeError,
    Kind,
    PermanentError,
    PipelineId,
    QueueFullError,
    RetryableError,
)
from untrace_pipeline.data import Batch, Context, Field, Level, Signal
from untrace_pipeline.data.codecs.upb import UpbCodec
from untrace_pipeline.testing import FailingSink, RecordingMeter, Sink, make_batch, make_settings
from untrace_plugins.connectors.routing import FACTORY

NAMES = ("a", "b", "rest")
SPAN_ID = Field(Level.ITEM, "span_id")
ACME = Context(metadata={"x-tenant": ("acme",)})


class Router:
    """A connector with a sink behind each of three pipelines of a signal."""

    def __init__(
        self,
        *table: dict[str, Any],
        signal: Signal = Signal.TRACES,
        default: bool = True,
        sinks: dict[str, Sink] | None = None,
        **options: Any,
    ) -> None:
        routes = [{**route, "pipelines": [f"{signal}/{name}" for name in route["to"]]} for route in table]
        for route in routes:
            del route["to"]
            if "else" in route:
                route["fallback_pipelines"] = [f"{signal}/{name}" for name in route.pop("else")]
        rest = [f"{signal}/rest"] if default else []
        config = FACTORY.config.model_validate({"table": routes, "default_pipelines": rest, **options})
        self.sinks: dict[str, Sink] = {name: Sink() for name in NAMES} | (sinks or {})
        self.meter = RecordingMeter()
        outputs = {PipelineId(signal, name): sink for name, sink in self.sinks.items()}
        settings = make_settings(Kind.CONNECTOR, "routing", signals=[signal], meter=self.meter)
        self.connector: Connector = FACTORY.create(config, settings, outputs)

    async def route(self, batch: Batch) -> list[int]:
        """Return how many items each pipeline got."""
        await self.connector.consume(batch)
        return [self.sinks[name].item_count for name in NAMES]


RESOURCE = 'resource.attributes["service.name"] == "service-0"'


@pytest.mark.parametrize(
    ("table", "counts"),
    [
        ([{"condition": RESOURCE, "to": "a"}], [3, 0, 3]),
        ([{"condition": 'attributes["service.name"] == "service-0"', "to": "a"}], [3, 0, 3]),
        (
            [{"context": "resource", "statement": 'route() where attributes["host.name"] == "test"', "to": "a"}],
            [6, 0, 0],
        ),
        ([{"condition": 'span.name == "chat 1"', "to": "a"}], [2, 0, 4]),
        ([{"context": "span", "condition": 'name == "chat 1"', "to": "a"}], [2, 0, 4]),
        ([{"condition": {"field": "name", "operator": "eq", "value": "chat 1"}, "to": "a"}], [2, 0, 4]),
        ([{"condition": 'request["X-Tenant"] == "acme"', "context": "request", "to": "a"}], [6, 0, 0]),
        ([{"condition": 'request["X-Tenant"] != "acme"', "context": "request", "to": "a"}], [0, 0, 6]),
        ([{"condition": 'otelcol.client.metadata["x-tenant"][0] == "acme"', "to": "a"}], [6, 0, 0]),
        ([{"condition": {"field": 'request["x-tenant"]', "operator": "in", "value": ["acme"]}, "to": "b"}], [0, 6, 0]),
        ([{"condition": RESOURCE, "to": "a"}, {"condition": 'span.name == "chat 1"', "to": "b"}], [3, 1, 2]),
        ([{"condition": 'span.name == "chat 1"', "to": "b"}, {"condition": RESOURCE, "to": "a"}], [2, 2, 2]),
        ([{"condition": RESOURCE, "to": "a"}, {"statement": "route()", "to": "b"}], [3, 3, 0]),
        ([{"condition": RESOURCE, "to": "ab"}], [3, 3, 3]),
        ([{"condition": RESOURCE, "action": "copy", "to": "a"}], [3, 0, 6]),
        ([{"condition": RESOURCE, "action": "copy", "to": "a"}, {"condition": RESOURCE, "to": "b"}], [3, 3, 3]),
        ([{"statement": "route()", "action": "copy", "to": "a"}, {"condition": RESOURCE, "to": "b"}], [6, 3, 3]),
        ([{"condition": RESOURCE, "to": "a"}, {"statement": "route()", "action": "copy", "to": "b"}], [3, 3, 3]),
    ],
)
async def test_first_match_wins(table: list[dict[str, Any]], counts: list[int]) -> None:
    """Six spans of two resources: what each pipeline gets; what is moved is gone for the routes after it."""
    assert await Router(*table).route(make_batch(items=6, resources=2, context=ACME)) == counts


@pytest.mark.parametrize(
    ("signal", "route", "counts"),
    [
        (Signal.LOGS, {"condition": "log.severity_number >= SEVERITY_NUMBER_ERROR", "to": "a"}, [2, 0, 4]),
        (Signal.METRICS, {"condition": "metric.type == METRIC_DATA_TYPE_SUM", "to": "a"}, [1, 0, 5]),
        (Signal.METRICS, {"context": "metric", "condition": 'HasAttrKeyOnDatapoint("n")', "to": "a"}, [6, 0, 0]),
        (Signal.METRICS, {"context": "datapoint", "condition": "value_int == 1", "to": "a"}, [1, 0, 5]),
    ],
)
async def test_every_signal(signal: Signal, route: dict[str, Any], counts: list[int]) -> None:
    """Records, whole metrics and single points."""
    assert await Router(route, signal=signal).route(make_batch(signal, 6)) == counts


async def test_items_arrive_whole() -> None:
    """Parts keep resource, scope, attributes and context."""
    router = Router({"condition": 'span.name == "chat 1"', "to": "a"})
    batch = make_batch(items=6, resources=2, context=ACME)
    expected = batch.copy().column(SPAN_ID)
    await router.route(batch)
    got = router.sinks["a"].column(SPAN_ID) + router.sinks["rest"].column(SPAN_ID)
    assert sorted(got, key=repr) == sorted(expected, key=repr)
    assert all(part.context is ACME for part in router.sinks["a"].batches)
    assert router.sinks["a"].column(Field(Level.RESOURCE, "attributes", "service.name")) == ["service-0", "service-1"]


async def test_without_default_the_rest_is_counted() -> None:
    """What no route takes ends here, with a reason."""
    router = Router({"condition": 'span.name == "chat 1"', "to": "a"}, default=False)
    assert await router.route(make_batch(items=6)) == [2, 0, 0]
    assert router.meter.value("dropped_items", signal="traces", reason="no_route") == 4
    assert await Router({"condition": "false", "to": "a"}, default=False).route(make_batch()) == [0, 0, 0]


async def test_what_was_copied_is_not_lost() -> None:
    """An item that a copying route passed on has arrived, though no route took it away."""
    table = {"condition": 'span.name == "chat 1"', "action": "copy", "to": "a"}, {"condition": RESOURCE, "to": "b"}
    router = Router(*table, default=False)
    expected = make_batch(items=6, resources=2)
    assert await router.route(expected.copy()) == [2, 3, 0]
    arrived = {*router.sinks["a"].column(SPAN_ID), *router.sinks["b"].column(SPAN_ID)}
    lost = router.meter.value("dropped_items", signal="traces", reason="no_route")
    assert lost == 6 - len(arrived) == len({*expected.column(SPAN_ID)} - arrived)
    everything = Router({"statement": "route()", "action": "copy", "to": "a"}, default=False)
    assert await everything.route(make_batch(items=6)) == [6, 0, 0]
    assert everything.meter.value("dropped_items", reason="no_route") == 0


async def test_the_request_decides_without_decoding() -> None:
    """Conditions on metadata read no span, and the bytes pass as they are."""

    class Untouchable(UpbCodec):
        def table(self, signal: Signal, data: bytes) -> Any:
            raise AssertionError

    router = Router({"context": "request", "condition": 'request["X-Tenant"] == "acme"', "to": "a"})
    payload = make_batch(items=3).to_otlp()
    assert await router.route(Batch(Signal.TRACES, payload, ACME, codec=Untouchable())) == [3, 0, 0]
    assert router.sinks["a"].batches[0].to_otlp() is payload


async def test_an_empty_request_goes_nowhere() -> None:
    """Nothing to route is accepted."""
    router = Router({"condition": 'span.name == "x"', "to": "a"})
    assert await router.route(Batch(Signal.TRACES, b"")) == [0, 0, 0]
    assert not router.sinks["rest"].batches


BROKEN = {"condition": 'span.attributes["cached"]["x"] == 1', "to": "a"}


async def test_without_an_answer_there_is_no_match(caplog: pytest.LogCaptureFixture) -> None:
    """ignore logs, silent does not; both go on with the next route."""
    with caplog.at_level(logging.WARNING):
        assert await Router(BROKEN, error_mode="silent").route(make_batch(items=3)) == [0, 0, 3]
        assert not caplog.records
        assert await Router(BROKEN).route(make_batch(items=3)) == [0, 0, 3]
    assert "cannot be indexed" in caplog.records[0].getMessage()


async def test_propagate_refuses_the_request() -> None:
    """Nothing of it is passed on."""
    router = Router(BROKEN, error_mode="propagate")
    with pytest.raises(PermanentError, match="no answer"):
        await router.route(make_batch(items=3))
    assert router.sinks["rest"].item_count == 0


LATER, FULL, NEVER = RetryableError("later"), QueueFullError("full"), PermanentError("never")


@pytest.mark.parametrize("error", [LATER, FULL, NEVER])
async def test_a_refused_part_goes_to_the_fallback(error: ConsumeError, caplog: pytest.LogCaptureFixture) -> None:
    """Only that part, once, and the request is accepted; it is counted, and logged once in a while."""
    route = {"condition": RESOURCE, "to": "a", "else": "b"}
    router = Router(route, sinks={"a": FailingSink(error)})
    with caplog.at_level(logging.WARNING):
        assert await router.route(make_batch(items=6, resources=2)) == [0, 3, 3]
        await router.route(make_batch(items=6, resources=2))
    assert router.meter.value("connector_routing_fallback_items", signal="traces") == 6
    assert router.meter.value("dropped_items") == 0
    assert [record.getMessage() for record in caplog.records] == [
        f"3 spans went to the fallback pipelines: the route refused ({error.code.name}: {error})"
    ]


async def test_the_fallback_of_the_connector_is_for_all() -> None:
    """For routes without their own, and for the default pipelines; a route's own comes first."""
    table = {"condition": RESOURCE, "to": "a"}, {"condition": 'span.name == "chat 1"', "to": "a", "else": ["rest"]}
    failing = {"a": FailingSink(LATER)}
    router = Router(*table, sinks=failing, fallback_pipelines=["traces/b"])
    assert await router.route(make_batch(items=6, resources=2)) == [0, 3, 3]
    defaults = Router(*table[1:], sinks={"rest": FailingSink(LATER)}, fallback_pipelines=["traces/b"])
    assert await defaults.route(make_batch(items=6)) == [2, 4, 0]


async def test_a_fallback_works_for_copies_too() -> None:
    """What is copied is tried there like what is moved."""
    route = {"condition": RESOURCE, "to": "a", "else": "b", "action": "copy"}
    assert await Router(route, sinks={"a": FailingSink(FULL)}).route(make_batch(items=6, resources=2)) == [0, 3, 6]


@pytest.mark.parametrize(
    ("own", "spare", "told"),
    [(FULL, LATER, LATER), (NEVER, LATER, LATER), (LATER, NEVER, LATER), (NEVER, NEVER, NEVER)],
)
async def test_when_the_fallback_refuses_too(own: ConsumeError, spare: ConsumeError, told: ConsumeError) -> None:
    """The sender is told the worst of both."""
    sinks: dict[str, Sink] = {"a": FailingSink(own), "b": FailingSink(spare)}
    router = Router({"statement": "route()", "to": "a", "else": "b"}, sinks=sinks)
    with pytest.raises(ConsumeError) as caught:
        await router.route(make_batch(items=3))
    assert caught.value is told
    assert router.meter.value("connector_routing_fallback_items") == 0


async def test_a_fallback_of_another_signal_is_none() -> None:
    """Pipelines of several signals may stand in one list."""
    router = Router({"statement": "route()", "to": "a"}, fallback_pipelines=["logs/b"], sinks={"a": FailingSink(LATER)})
    with pytest.raises(RetryableError, match="later"):
        await router.route(make_batch(items=3))
