"""Redaction on the wire against redaction of the decoded request."""

import random
from typing import Any

import hypothesis.strategies as st
from google.protobuf.message import Message
from hypothesis import given

from tests.support.otlp_strategies import requests
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import make_settings
from untrace_plugins.processors.redaction import FACTORY
from untrace_plugins.processors.redaction.config import RedactionConfig

MARK = "MARKED"
LOOKED_AT = {
    ("KeyValue", "key"),
    ("AnyValue", "string_value"),
    ("AnyValue", "bytes_value"),
    ("Span", "name"),
    ("Event", "name"),
    ("Status", "message"),
}
"""Message and field of what is content."""


def processor(**options: Any) -> Any:
    config = RedactionConfig.model_validate({"custom_detectors": [{"name": "mark", "pattern": MARK}]} | options)
    return FACTORY.create(config, make_settings(Kind.PROCESSOR, "redaction"))


REPLACING = processor()
EVERYWHERE = processor(custom_detectors=[{"name": "mark", "pattern": f"{MARK}|(?:)"}])
"""Its prefilter matches the empty string, so that every text is looked at."""


def each_text(message: Message, change: Any) -> None:
    """Set every string, and every value of bytes, to what ``change`` makes of it."""
    for field, value in message.ListFields():
        many = value if field.is_repeated else [value]
        if field.message_type is not None:
            for inner in many:
                each_text(inner, change)
        elif field.type == field.TYPE_STRING or (message.DESCRIPTOR.name, field.name) == ("AnyValue", "bytes_value"):
            new = [change(message.DESCRIPTOR.name, field.name, one) for one in many]
            if field.is_repeated:
                del value[:]
                value.extend(new)
            else:
                setattr(message, field.name, new[0])


def planted(value: Any, chance: random.Random) -> Any:
    """Return a text with or without a mark behind it; keys that are never looked at become others."""
    if value == "service.name":
        return "owner.name"
    mark = MARK.encode() if isinstance(value, bytes) else MARK
    return value + mark if chance.random() < 0.3 else value


def cleaned(message: str, field: str, value: Any) -> Any:
    if (message, field) not in LOOKED_AT:
        return value
    if isinstance(value, str):
        return value.replace(MARK, "<MARK>")
    try:
        return value.decode().replace(MARK, "<MARK>").encode()
    except UnicodeDecodeError:
        return value


@given(
    signal=st.sampled_from(Signal),
    data=st.data(),
    chance=st.randoms(use_true_random=False),
    redaction=st.sampled_from([REPLACING, EVERYWHERE]),
)
def test_exactly_what_was_found_changes(
    signal: Signal, data: st.DataObject, chance: random.Random, redaction: Any
) -> None:
    """Of any request, with unknown fields too: every byte but those of content with a finding, and lengths, stays."""
    request = data.draw(requests(signal))
    each_text(request, lambda _message, _field, value: planted(value, chance))
    after = redaction.process(Batch(signal, request.SerializeToString()))
    assert after is not None
    each_text(request, cleaned)
    assert after.to_otlp() == request.SerializeToString()
