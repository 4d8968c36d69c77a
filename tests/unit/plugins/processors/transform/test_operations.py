"""Operations: what each makes of an item."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.api import Kind, StartError
from untrace_pipeline.data import Batch, Field, Level, Signal, Value, attribute
from untrace_pipeline.testing import RecordingMeter, Sink, make_batch, make_settings
from untrace_plugins.processors.transform import FACTORY

NAME = Field(Level.ITEM, "name")


async def run(
    operations: list[dict[str, Any]], batch: Batch, meter: RecordingMeter | None = None, **options: Any
) -> Batch:
    """Transform, write, and read again what was written."""
    sink = Sink()
    settings = make_settings(Kind.PROCESSOR, "transform", signals=[batch.signal], meter=meter)
    config = FACTORY.config.model_validate({"operations": operations, **options})
    await FACTORY.create(config, settings, sink).consume(batch)
    return Batch(batch.signal, sink.batches[0].to_otlp())


def spans(**attributes: Value) -> Batch:
    return make_batch(Signal.TRACES, 4, resources=2, attributes=attributes, resource={"team": "search"})


JSON = '{"user": {"id": 7, "tags": ["a", "b"]}, "items": [{"n": 1}, {"n": 2}], "none": null}'
SHA = hashlib.sha256(b"secret").hexdigest()
KEYED = hmac.new(b"k", b"secret", "sha1").hexdigest()


@pytest.mark.parametrize(
    ("operation", "x", "field", "expected"),
    [
        ({"set": {"field": "attributes.y", "value": {"a": [1, True]}}}, 1, "y", {"a": [1, True]}),
        ({"set": {"field": 'attributes["x"]["b"]', "value": 2}}, {"a": 1}, "x", {"a": 1, "b": 2}),
        ({"copy": {"from": "attributes.x", "to": "attributes.deep.y"}}, 1.5, "deep.y", 1.5),
        ({"copy": {"from": "resource.attributes.team", "to": "attributes.y"}}, 1, "y", "search"),
        ({"copy": {"from": "$.attributes.x.*", "to": "attributes.y"}}, {"a": 1, "b": 2}, "y", [1, 2]),
        ({"copy": {"from": "attributes.no", "to": "attributes.x"}}, 1, "x", 1),
        ({"rename": {"from": "attributes.x", "to": "attributes.y"}}, 1, "y", 1),
        ({"rename": {"from": "attributes.x", "to": "attributes.y"}}, 1, "x", None),
        ({"rename": {"from": 'attributes["x"]["a"]', "to": "attributes.y"}}, {"a": 1, "b": 2}, "x", {"b": 2}),
        ({"delete": {"field": "attributes.x"}}, 1, "x", None),
        ({"delete": {"pattern": "^x$"}}, 1, "x", None),
        ({"keep": {"keys": ["a"], "map": "attributes.x"}}, {"a": 1, "b": 2}, "x", {"a": 1}),
        ({"keep": {"keys": ["x"]}}, 1, "session.id", None),
        ({"truncate": {"field": "attributes.x", "limit": 5, "marker": "…"}}, "äbcdefg", "x", "ä…"),
        ({"truncate": {"limit": 2}}, "abc", "x", "ab"),
        ({"truncate": {"field": "attributes.x", "limit": 2}}, 12345, "x", 12345),
        ({"hash": {"field": "attributes.x"}}, "secret", "x", SHA),
        ({"hash": {"field": "attributes.x", "algorithm": "sha1", "key": "k"}}, "secret", "x", KEYED),
        (
            {
                "template": {
                    "to": "attributes.y",
                    "template": "{{{attributes.x}}}-{resource.attributes.team}/{attributes.no}",
                }
            },
            7,
            "y",
            "{7}-search/",
        ),
        ({"template": {"to": "attributes.y", "template": 'a {attributes["x"]["k"]}'}}, {"k": [1]}, "y", "a [1]"),
        ({"parse_json": {"from": "attributes.x"}}, "[1, 2.5]", "x", [1, 2.5]),
        ({"parse_json": {"from": "attributes.x", "to": "attributes.y"}}, '{"a": null}', "y", {"a": None}),
        ({"parse_json": {"from": "attributes.x", "prefix": "p."}}, '{"a": 1}', "p.a", 1),
        ({"map": {"from": "attributes.x", "mappings": {"$.user.id": "attributes.y"}}}, JSON, "y", 7),
        ({"map": {"from": "attributes.x", "mappings": {"$.items[*].n": "attributes.y"}}}, JSON, "y", [1, 2]),
        ({"map": {"from": "attributes.x", "mappings": {"$.nope": "attributes.x"}}}, JSON, "x", JSON),
        ({"map": {"mappings": {'$.attributes["x"]["user"]': "attributes.y"}}}, {"user": 1}, "y", 1),
    ],
)
async def test_operations(operation: dict[str, Any], x: Value, field: str, expected: Value) -> None:
    """What each operation makes of an attribute, written and read again."""
    batch = await run([operation], spans(x=x))
    assert batch.column(attribute(field)) == [expected] * 4


async def test_in_order_on_what_is_meant() -> None:
    """Operations see what those before them did, on the items that satisfy their condition, in either language."""
    batch = await run(
        [
            {"set": {"field": "attributes.y", "value": 1}, "where": 'name == "chat 1"'},
            {"set": {"field": "name", "value": "one"}, "where": {"field": "attributes.y", "operator": "exists"}},
            {"copy": {"from": "name", "to": "resource.attributes.last"}},
            {"copy": {"from": "resource.attributes.last", "to": "attributes.seen"}},
        ],
        spans(),
    )
    assert batch.column(NAME) == ["chat 0", "one", "chat 0", "one"]
    assert batch.column(attribute("seen")) == batch.column(NAME)


async def test_fields_of_some_signals() -> None:
    """An operation on a field that only one signal has is fine as long as the pipeline has no other."""
    operations = [{"set": {"field": "severity_text", "value": "LOUD"}}]
    batch = await run(operations, make_batch(Signal.LOGS, 2))
    assert batch.column(Field(Level.ITEM, "severity_text")) == ["LOUD", "LOUD"]
    with pytest.raises(StartError, match="severity_text"):
        await run(operations, make_batch(Signal.TRACES, 2))
    operations[0]["signals"] = ["logs"]
    await run(operations, make_batch(Signal.TRACES, 2))


@pytest.mark.parametrize(
    ("operation", "x"),
    [
        ({"parse_json": {"from": "attributes.x"}}, "{"),
        ({"parse_json": {"from": "attributes.x"}}, "[" * 100_000),
        ({"parse_json": {"from": "attributes.x"}}, "[" * 40 + "]" * 40),
        ({"parse_json": {"from": "attributes.x", "prefix": ""}}, "[1]"),
        ({"parse_json": {"from": "attributes.x"}}, 7),
        ({"map": {"from": "attributes.x", "mappings": {"$.a": "name"}}}, "no json"),
        ({"map": {"from": "attributes.x", "mappings": {"$.a": "name"}}}, '{"a": 1}'),
        ({"set": {"field": 'attributes["x"]["y"]', "value": 1}}, "text"),
    ],
)
async def test_bad_input_is_counted_and_left_alone(operation: dict[str, Any], x: Value) -> None:
    """Items without an answer keep everything, and are counted."""
    meter, before = RecordingMeter(), spans(x=x)
    payload = before.to_otlp()
    batch = await run([operation], before, meter)
    assert batch.to_otlp() == payload
    assert meter.value("processor_transform_errors") == 4


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({}, "exactly one of set, copy"),
        ({"set": {"field": "name", "value": 1}, "delete": {"field": "name"}}, "exactly one of"),
        ({"set": {"field": "nope", "value": 1}}, "nothing that can be written to"),
        ({"set": {"field": "duration_nanos", "value": 1}}, "nothing that can be written to"),
        ({"set": {"field": "$..x", "value": 1}}, "nothing that can be written to"),
        ({"set": {"field": "attributes.x", "value": 1}, "where": "nam == 1"}, "did you mean name"),
        ({"set": {"field": "attributes.x", "value": 1 << 70}}, "64 bits"),
        ({"set": {"field": "name", "value": 1}}, "a string is needed"),
        ({"copy": {"from": "$[", "to": "name"}}, "no JSONPath"),
        ({"delete": {}}, "exactly one of field and pattern"),
        ({"delete": {"pattern": "("}}, "missing"),
        ({"truncate": {"limit": 1, "marker": "..."}}, "longer than the limit"),
        ({"template": {"to": "name", "template": "{name"}}, "not closed"),
        ({"map": {"mappings": {"$.a": "nope"}}}, "nothing that can be written to"),
        ({"parse_json": {"from": "name", "to": "name", "prefix": "a"}}, "either to or prefix"),
        ({"function": {"call": "module"}}, "module:function"),
        ({"set": {"field": "name", "value": "x"}, "signals": ["logs"]}, "nothing that can be written to"),
    ],
)
def test_mistakes(operation: dict[str, Any], message: str) -> None:
    """What cannot work is an error of the configuration."""
    with pytest.raises(ValidationError) as caught:
        FACTORY.config.model_validate({"operations": [operation]})
    assert message in str(caught.value)
