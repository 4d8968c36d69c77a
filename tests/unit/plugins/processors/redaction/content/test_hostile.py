"""Input that is meant to hurt: nothing is fatal, nothing is lost, nothing takes longer than its size."""

import json
from typing import Any

import pytest

from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.errors import DecodeError
from untrace_pipeline.testing import make_batch, make_settings
from untrace_plugins.processors.redaction import FACTORY
from untrace_plugins.processors.redaction.config import RedactionConfig

MAIL = "jane.roe@example.com"
MIB = 1 << 20


@pytest.fixture(scope="module")
def processor() -> Any:
    return FACTORY.create(RedactionConfig(detectors=["all"]), make_settings(Kind.PROCESSOR, "redaction"))


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10 * MIB + f" {MAIL} " + "y" * MIB,
        "[" * 200_000 + f'"{MAIL}"' + "]" * 200_000,
        '{"a":' * 100_000 + f'"{MAIL}"',
        "\\" * MIB + f" {MAIL}",
        '"' + "\\\\" * MIB + f' {MAIL}"',
        '"' * MIB + f" {MAIL}",
        json.dumps([f"{number} {MAIL}" for number in range(20_000)]),
        json.dumps({"vector": [0.123456789] * 100_000, "mail": MAIL}),
        "data:image/png;base64," + "QUJD" * MIB + f" {MAIL}",
        "1" * 2 * MIB + f" {MAIL}",
        "@" * MIB + f" {MAIL}",
        "a@" * MIB + f" {MAIL}",
        f"\x00\ufffe\U0010ffff {MAIL}",
        f'{{"n": NaN, "i": 1e999, "mail": "{MAIL}"}}',
        f'["\\ud800 {MAIL}"]',
    ],
    ids=lambda text: text[:12].encode("unicode_escape").decode(),
)
def test_large_and_odd_texts(text: str, processor: Any) -> None:
    """The value is gone, and the text is otherwise about as long as it was."""
    (value,) = processor.process(make_batch(items=1, attributes={"t": text})).column(attribute("t"))
    assert MAIL not in value
    assert "<EMAIL>" in value
    assert len(value) <= len(text)


def test_documents_within_documents(processor: Any) -> None:
    """Twelve deep a document is still one; deeper, the value goes all the same."""
    for depth in (3, 12, 15):
        text = MAIL
        for _ in range(depth):
            text = json.dumps({"d": text})
        (value,) = processor.process(make_batch(items=1, attributes={"t": text})).column(attribute("t"))
        assert MAIL not in value
        for _ in range(depth):
            value = json.loads(value)["d"]
        assert value == "<EMAIL>"


def test_bytes_that_are_no_text_stay(processor: Any) -> None:
    """A picture that happens to hold an address is a picture."""
    data = b"\xff\xd8" + MAIL.encode()
    batch = make_batch(items=1, attributes={"t": data})
    assert processor.process(batch).column(attribute("t")) == [data]


def test_a_request_that_is_none_is_refused(processor: Any) -> None:
    """What cannot be read is an error of the sender, as everywhere; it is not passed on unread."""
    with pytest.raises(DecodeError):
        processor.process(Batch(Signal.TRACES, make_batch(items=1, attributes={"t": MAIL}).to_otlp()[:-3]))


def test_equal_keys_hide_nothing(processor: Any) -> None:
    """Of an attribute that is there twice, which OTLP forbids, both are treated."""
    request = make_batch(items=1, attributes={"key1": f"a {MAIL}", "key2": f"b {MAIL}"}).to_otlp()
    after = processor.process(Batch(Signal.TRACES, request.replace(b"key2", b"key1"))).to_otlp()
    assert MAIL.encode() not in after
    assert b"a <EMAIL>" in after
    assert b"b <EMAIL>" in after


def test_thousands_of_findings(processor: Any) -> None:
    """A request in which everything is something comes out with all of it replaced."""
    batch = make_batch(
        items=200, attributes={f"k{number}": f"{number} {MAIL} 4111 1111 1111 1111" for number in range(20)}
    )
    after = processor.process(batch)
    assert after.item_count == 200
    assert after.to_otlp().count(b"<EMAIL>") == 4000
    assert after.to_otlp().count(b"<CREDIT_CARD>") == 4000


def test_an_empty_name_is_no_trouble(processor: Any) -> None:
    """Empty strings, keys and requests."""
    batch = make_batch(items=1, attributes={"": MAIL, "e": ""})
    after = processor.process(batch)
    assert after.column(Field(Level.ITEM, "attributes"))[0][""] == "<EMAIL>"
    assert processor.process(Batch(Signal.LOGS, b"")).to_otlp() == b""
