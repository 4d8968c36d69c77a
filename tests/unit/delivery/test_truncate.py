"""Shortening a single item: what is cut, how it is marked, and what stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.senders import Bench, ScriptedSender
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, attribute
from untrace_pipeline.delivery import Outcome, Request
from untrace_pipeline.delivery.truncate import ENDING, MARK, shorten
from untrace_pipeline.errors import OversizeError
from untrace_pipeline.testing import make_batch, run_with_fake_clock


def item(**attributes: object) -> Batch:
    batch = make_batch(items=1)
    batch.set(Field(Level.ITEM, ATTRIBUTES), [attributes])
    batch.to_otlp()
    return batch


def test_the_longest_texts_are_cut_first() -> None:
    """Long attributes are cut to one length, short ones stay whole, and the item says which were cut."""
    batch = item(long="x" * 10_000, longer="ü" * 20_000, short="keep me", number=7)
    shorter = shorten(batch, 5_000)
    assert shorter is not None
    (found,) = shorter.column(Field(Level.ITEM, ATTRIBUTES))
    assert isinstance(found, dict)
    assert found["short"] == "keep me"
    assert found["number"] == 7
    assert str(found["long"]).endswith(ENDING)
    assert abs(len(str(found["long"]).encode()) - len(str(found["longer"]).encode())) < 4
    assert found[MARK] == ["long", "longer"]
    assert len(shorter.to_otlp()) <= 5_000 + 64
    assert len(batch.to_otlp()) > 50_000, "the original is untouched"


def test_structured_values_become_the_beginning_of_their_json() -> None:
    """Messages that are lists and maps are what is large in a span of an LLM."""
    batch = item(messages=[{"role": "user", "content": "y" * 50_000}], model="gpt-4o")
    shorter = shorten(batch, 1_000)
    assert shorter is not None
    (text,) = shorter.column(attribute("messages"))
    assert isinstance(text, str)
    assert text.startswith('[{"role":"user","content":"yyy')


def test_texts_of_other_levels_are_cut_too() -> None:
    """Resource attributes and the body of a log record may be what is too large."""
    spans = make_batch(items=1)
    spans.set(attribute("prompt", Level.RESOURCE), ["p" * 30_000])
    spans.to_otlp()
    shorter = shorten(spans, 10_000)
    assert shorter is not None
    assert len(shorter.to_otlp()) < 12_000
    logs = make_batch(signal=Signal.LOGS, items=1)
    logs.set(Field(Level.ITEM, "body"), ["b" * 30_000])
    logs.to_otlp()
    shorter = shorten(logs, 10_000)
    assert shorter is not None
    assert shorter.column(attribute(MARK)) == [["body"]]


def test_nothing_to_cut() -> None:
    """An item without long texts cannot be shortened."""
    assert shorten(item(number=1, short="a"), 10) is None


@given(st.lists(st.text(max_size=400), max_size=6), st.integers(0, 3000))
def test_any_texts(texts: list[str], target: int) -> None:
    """The result is valid OTLP with the same keys, is marked, and never larger than before but for the mark."""
    batch = item(**{f"k{number}": text for number, text in enumerate(texts)})
    shorter = shorten(batch, target)
    if shorter is None:
        return
    again = Batch(Signal.TRACES, shorter.to_otlp())
    (found,) = again.column(Field(Level.ITEM, ATTRIBUTES))
    assert isinstance(found, dict)
    assert set(found) == {f"k{number}" for number in range(len(texts))} | {MARK}
    for number, text in enumerate(texts):
        cut = str(found[f"k{number}"])
        assert cut == text or text.startswith(cut.removesuffix(ENDING))


class Limited(ScriptedSender):
    """Takes requests up to a size."""

    async def answer(self, request: Request, step: Outcome | Exception | None) -> Outcome:
        if request.batch.byte_size > 20_000:
            raise OversizeError("larger than 20 kB")
        return await super().answer(request, step)


def test_delivery_shortens_until_the_destination_takes_it() -> None:
    """With ``oversize: truncate`` the large item arrives shortened, and its small neighbours whole."""

    async def main() -> None:
        sender = Limited()
        large, small = item(prompt="x" * 500_000), make_batch(items=5)
        async with Bench(sender, oversize="truncate") as bench:
            await bench.delivery.consume(Batch.merge([large, small]))
            await bench.until_idle()
            assert bench.meter.value("exporter_truncated_items") == 1
        assert sender.item_count == 6
        marks = [mark for request in sender.sent for mark in request.batch.column(attribute(MARK))]
        assert ["prompt"] in marks
        assert marks.count(None) == 5
        assert bench.dropped == {}

    run_with_fake_clock(main())


def test_an_item_that_stays_too_large_is_dropped() -> None:
    """What cannot be shortened enough ends as too_large."""

    async def main() -> None:
        sender = ScriptedSender(forever=OversizeError("always"))
        async with Bench(sender, oversize="truncate") as bench:
            await bench.delivery.consume(item(prompt="x" * 100_000))
            await bench.until_idle()
        assert bench.dropped == {"too_large": 1}
        assert len(sender.times) < 10

    run_with_fake_clock(main())
