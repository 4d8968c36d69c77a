"""Redaction on the wire against redaction of the decoded request."""

import random
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from google.protobuf.message import Message
from hypothesis import given

from tests.support.otlp_strategies import requests
from untrace_pipeline import native
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import make_settings
from untrace_plugins.processors.redaction import FACTORY
from untrace_plugins.processors.redaction.config import RedactionConfig
from untrace_plugins.processors.redaction.content.walk import Text, walk

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


class SomeKeys:
    """Keys that are ignored or clean by their last letter."""

    def is_ignored(self, name: str) -> bool:
        """See :class:`Keys`."""
        return name.endswith(("a", "1"))

    def is_clean(self, key: str) -> bool:
        """See :class:`Keys`."""
        return key.endswith(("e", "2"))


def told(text: Text) -> Iterator[object]:
    """Yield all that is said of a text."""
    yield from (text.name, text.is_key, text.is_bytes, text.number)
    for frame in (text, text.owner, text.item, text.event, text.field):
        yield [(one.tag, one.begin, one.start, one.stop) for one in frame.chain()] if frame is not None else None


@pytest.mark.skipif(not native.codec().is_native, reason="the codec is not native")
@given(signal=st.sampled_from(Signal), data=st.data(), share=st.sampled_from([0.02, 0.2, 1.0]), seed=st.integers(0))
def test_native_walk_equals_that_in_python(signal: Signal, data: st.DataObject, share: float, seed: int) -> None:
    """Wherever hits end, both tell the same texts, with the same fields around them."""
    request = data.draw(requests(signal)).SerializeToString()
    chance = random.Random(seed)
    ends = [end for end in range(1, len(request) + 1) if chance.random() < share]
    found = walk(signal, request, ends, SomeKeys())
    expected = walk(signal, request, ends, SomeKeys(), use_native=False)
    assert [list(told(text)) for text in found] == [list(told(text)) for text in expected]
