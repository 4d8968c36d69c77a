"""Values that a stream has cut in two."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from untrace_pipeline.api import Finding, Kind
from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.testing import RecordingMeter, make_settings
from untrace_pipeline.testing.generate import make_request
from untrace_plugins.processors.redaction import FACTORY
from untrace_plugins.processors.redaction.config import RedactionConfig
from untrace_plugins.processors.redaction.content import assemble

PIECES = ["Write to ja", "ne.roe@exa", "mple", ".com, or call"]


def redacted(
    chunks: list[list[dict[str, str]]], *, meter: RecordingMeter | None = None, **options: Any
) -> list[list[dict[str, str]]]:
    """Return the attributes of the events of spans after redaction."""
    request = make_request(items=len(chunks))
    spans = [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
    for span, events in zip(spans, chunks, strict=True):
        del span.events[:]
        for number, attributes in enumerate(events):
            event = span.events.add(name=f"mlflow.chunk.item.{number}")
            for key, value in attributes.items():
                event.attributes.add(key=key).value.string_value = value
    config = RedactionConfig.model_validate({"detectors": ["email"]} | options)
    processor = FACTORY.create(config, make_settings(Kind.PROCESSOR, "redaction", meter=meter))
    after = processor.process(Batch(Signal.TRACES, request.SerializeToString()))
    assert after is not None
    columns = after.column(Field(Level.EVENT, "attributes"))
    parents = after.parents(Level.EVENT, Level.ITEM)
    return [[column for column, row in zip(columns, parents, strict=True) if row == item] for item in range(len(spans))]  # type: ignore[misc]


def openai(text: str) -> dict[str, str]:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": text}}],
    }
    return {"mlflow.chunk.value": json.dumps(chunk)}


def anthropic(text: str) -> dict[str, str]:
    return {
        "data": json.dumps({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    }


def plain(text: str) -> dict[str, str]:
    return {"token": text}


@pytest.mark.parametrize("form", [openai, anthropic, plain])
def test_pieces_of_one_span_are_put_together(form: Any) -> None:
    """The first piece gets the replacement, the others lose their part; everything else stays, and stays JSON."""
    meter = RecordingMeter()
    (after,) = redacted([[form(piece) for piece in PIECES]], meter=meter)
    assert after == [form(piece) for piece in ["Write to <EMAIL>", "", "", ", or call"]]
    assert meter.value("processor_redaction_findings", detector="email", action="replace") == 1


def test_spans_are_kept_apart() -> None:
    """What two spans hold is never taken for one value."""
    chunks = [[openai("to jane.roe@exa"), openai("x")], [openai("mple.com"), openai("y")]]
    assert redacted(chunks) == chunks


def test_whole_values_in_pieces_are_found_once() -> None:
    """A value within one chunk is treated there, next to one that was cut."""
    (after,) = redacted([[openai("a@example.com to jane.roe@exa"), openai("mple.com b@example.com")]])
    assert after == [openai("<EMAIL> to <EMAIL>"), openai(" <EMAIL>")]


def test_hashes_are_of_the_whole_value() -> None:
    """A value that was cut has the same name as one that was not."""
    key = "0123456789abcdef0123456789abcdef"
    (after,) = redacted(
        [[openai(piece) for piece in [*PIECES, " jane.roe@example.com"]]], default_action="hash", hmac_key=key
    )
    text = [json.loads(one["mlflow.chunk.value"])["choices"][0]["delta"]["content"] for one in after]
    assert text[0] == f"Write to {text[-1].strip()}"
    assert text[1:4] == ["", "", ", or call"]


def test_a_detector_that_fails_on_the_whole_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """All chunks get what ``on_error`` says: nobody knows what is in them together."""
    load = assemble.load_detector
    monkeypatch.setattr(assemble, "load_detector", lambda name: Failing() if name == "jwt" else load(name))
    meter = RecordingMeter()
    chunks = [[openai("to jane.roe@exa"), openai("mple.com")], [{"message": "no stream"}]]
    after = redacted(chunks, meter=meter, detectors=["jwt"])
    assert after == [[{"mlflow.chunk.value": "****"}] * 2, [{"message": "no stream"}]]
    assert meter.value("processor_redaction_detector_failures", detector="failing") == 1


class Failing:
    """A detector that fails where a value was put together."""

    name = "failing"
    prefilter = ("jane",)

    def find(self, text: str) -> Iterator[Finding]:
        if "jane.roe@example.com" in text:
            raise ValueError(text)
        yield from ()


def test_events_that_are_no_chunks_are_looked_at_one_by_one() -> None:
    """Without a sign of a stream, two events are two texts."""
    request = make_request(items=1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    del span.events[:]
    for text in ("to jane.roe@exa", "mple.com"):
        span.events.add(name="log").attributes.add(key="message").value.string_value = text
    config = RedactionConfig(detectors=["email"])
    batch = Batch(Signal.TRACES, request.SerializeToString())
    after = FACTORY.create(config, make_settings(Kind.PROCESSOR, "redaction")).process(batch)
    assert after is not None
    assert after.column(attribute("message", Level.EVENT)) == ["to jane.roe@exa", "mple.com"]
