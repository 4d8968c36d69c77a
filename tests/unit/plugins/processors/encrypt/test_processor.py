"""Encryption of attributes."""

import base64
import math
from typing import Any

import pytest

from untrace_pipeline.api import Kind, StartError, Transform
from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.testing import RecordingMeter, make_batch, make_settings
from untrace_pipeline.testing.generate import make_request
from untrace_plugins.processors.encrypt import FACTORY
from untrace_plugins.processors.encrypt.config import EncryptConfig
from untrace_plugins.sealing.values import is_sealed

KEY = base64.b64encode(bytes(range(32))).decode()
SECRETS = {"prompt.one": "Anna", "prompt.two": 42, "list": ["a", {"b": 1.5}], "plain": "x"}


def config(**options: Any) -> EncryptConfig:
    return EncryptConfig.model_validate({"key": KEY} | options)


def encrypted(batch: Batch, meter: RecordingMeter | None = None, **options: Any) -> Batch:
    processor = FACTORY.create(config(**options), make_settings(Kind.PROCESSOR, "encrypt", meter=meter))
    assert isinstance(processor, Transform)
    after = processor.process(batch)
    assert after is not None
    return Batch(batch.signal, after.to_otlp())


def revealed(value: object, **options: Any) -> str:
    assert isinstance(value, str)
    assert is_sealed(value)
    return config(attributes=["x"], **options).unseal(value)


@pytest.mark.parametrize("signal", Signal)
def test_chosen_attributes_of_all_levels_are_encrypted(signal: Signal) -> None:
    """Names and patterns choose; values of other types are encrypted as their text; everything else stays."""
    meter = RecordingMeter()
    batch = make_batch(signal, items=3, attributes=SECRETS, resource={"owner": "Ada"})
    after = encrypted(batch, meter, attributes=["prompt.*", "list", "owner", "absent"])
    columns = after.columns([attribute(key) for key in SECRETS])
    assert [[revealed(value) for value in column] for column in columns[:3]] == [
        ["Anna"] * 3,
        ["42"] * 3,
        ['["a",{"b":1.5}]'] * 3,
    ]
    assert columns[3] == ["x"] * 3
    assert revealed(after.column(attribute("owner", Level.RESOURCE))[0]) == "Ada"
    assert after.column(attribute("absent")) == [None] * 3
    assert meter.value("processor_encrypt_values") == 10


def test_numbers_that_json_does_not_have_are_not_lost() -> None:
    """A list with one of them is encrypted with all that is in it."""
    after = encrypted(make_batch(items=1, attributes={"list": ["a", math.inf]}), attributes=["list"])
    assert [revealed(value) for value in after.column(attribute("list"))] == ['["a",Infinity]']


def test_events_and_links_are_encrypted() -> None:
    """Attributes of events and links are chosen by the same names."""
    request = make_request(items=1)
    request.resource_spans[0].scope_spans[0].spans[0].links.add(trace_id=bytes(range(16)), span_id=bytes(range(8)))
    batch = Batch(Signal.TRACES, request.SerializeToString())
    for level in (Level.EVENT, Level.LINK):
        batch.set(attribute("who", level), ["Anna"] * batch.row_count(level))
    after = encrypted(batch, attributes=["who"])
    found = [value for level in (Level.EVENT, Level.LINK) for value in after.column(attribute("who", level))]
    assert len(found) > 1
    assert {revealed(value) for value in found} == {"Anna"}


def test_bodies_are_encrypted_where_asked_for() -> None:
    """``body`` is for bodies of log records, whatever they hold."""
    batch = make_batch(Signal.LOGS, items=2)
    batch.set(Field(Level.ITEM, "body"), ["text", {"a": 1}])
    after = encrypted(batch, body=True)
    assert [revealed(value) for value in after.column(Field(Level.ITEM, "body"))] == ["text", '{"a":1}']


def test_what_is_encrypted_stays_so() -> None:
    """A second time, as in a gateway behind a sidecar, changes nothing."""
    once = encrypted(make_batch(attributes={"k": "v"}), attributes=["k"])
    assert encrypted(once.copy(), attributes=["k"]).to_otlp() == once.to_otlp()


def test_nothing_chosen_costs_no_rewrite() -> None:
    """Without such an attribute the bytes stay as they are."""
    batch = make_batch(items=3)
    before = batch.to_otlp()
    processor = FACTORY.create(config(attributes=["no", "no.*"]), make_settings(Kind.PROCESSOR, "encrypt"))
    after = processor.process(batch)
    assert after is not None
    assert after.to_otlp() is before


def test_an_equal_key_hides_nothing() -> None:
    """Of an attribute that is there twice, which OTLP forbids, no readable value is left."""
    request = make_batch(items=1, attributes={"secret": "Anna", "Xecret": "Berta"}).to_otlp()
    twice = Batch(Signal.TRACES, request.replace(b"Xecret", b"secret"))
    assert b"Berta" not in encrypted(twice, attributes=["secret"]).to_otlp()


def test_keys_change() -> None:
    """What an earlier key encrypted is read while it is named."""
    other = base64.b64encode(bytes(range(1, 33))).decode()
    (value,) = encrypted(make_batch(items=1, attributes={"k": "v"}), key=other, attributes=["k"]).column(attribute("k"))
    assert revealed(value, previous_keys=[other]) == "v"
    assert revealed(value) == value


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing to encrypt"),
        ({"attributes": ["a"], "key_file": "f"}, "either key or key_file"),
    ],
)
def test_options_that_make_no_sense_are_errors(options: dict[str, Any], words: str) -> None:
    """The configuration says so before anything starts."""
    with pytest.raises(ValueError, match=words):
        config(**options)


def test_a_key_that_is_none_is_named_and_not_shown() -> None:
    """The message says what is expected, and nothing of what was given."""
    with pytest.raises(StartError, match="32 bytes as base64 or hex") as failure:
        FACTORY.create(config(key="tooshort", attributes=["a"]), make_settings(Kind.PROCESSOR, "encrypt"))
    assert "tooshort" not in str(failure.value)
