"""Texts that come again are looked at once, within a bound."""

import sys
from typing import Any

from untrace_pipeline.api import Finding, Kind
from untrace_pipeline.testing import make_batch, make_settings
from untrace_plugins.detectors.detector_set import DetectorSet
from untrace_plugins.processors.redaction import FACTORY
from untrace_plugins.processors.redaction.config import RedactionConfig
from untrace_plugins.processors.redaction.content.clean_texts import CleanTexts
from untrace_plugins.processors.redaction.content.known_keys import KnownKeys
from untrace_plugins.processors.redaction.content.search import Search


class Asked:
    """A detector of 'bad' that notes what it is asked, and fails on 'odd'."""

    name = "asked"
    prefilter = ("bad", "odd", "good")

    def __init__(self) -> None:
        self.texts: list[str] = []

    def find(self, text: str) -> Any:
        """Yield where the word stands."""
        self.texts.append(text)
        if "odd" in text:
            raise ValueError
        start = text.find("bad")
        if start >= 0:
            yield Finding(start, start + 3, "BAD", self.name)


def looks(*texts: tuple[str, str]) -> list[str]:
    """Return what the detector is asked if each text, with its key, comes in a request of its own."""
    detector = Asked()
    search = Search(DetectorSet([detector]), [], KnownKeys(RedactionConfig()), whose=False)
    for text, key in texts:
        search.look(text, key)
        search.forget()
    return detector.texts


def test_a_text_without_findings_is_looked_at_once() -> None:
    """The next request that has it costs nothing."""
    assert looks(("good", "k"), ("good", "k")) == ["k: good"]


def test_another_key_is_another_question() -> None:
    """A key may say what a value is."""
    assert looks(("good", "k"), ("good", "l")) == ["k: good", "l: good"]


def test_findings_and_failures_are_not_remembered() -> None:
    """What is personal is not kept, and a detector that failed is asked again."""
    assert looks(("bad", "k"), ("bad", "k"), ("odd", "k"), ("odd", "k")) == ["k: bad"] * 2 + ["k: odd"] * 2


def test_what_was_asked_for_last_stays() -> None:
    """There is room for so many bytes; what is too long for it takes no room from others."""
    clean = CleanTexts(max_bytes=16 * 1024)
    clean.note("", "x" * 2000)
    assert not clean.has("", "x" * 2000)
    texts = [f"{number}" * 400 for number in range(10, 40)]
    for text in texts:
        clean.has("", texts[0])
        clean.note("", text)
    known = [text for text in texts if clean.has("", text)]
    assert known[0] == texts[0]
    assert known[1:] == texts[-len(known) + 1 :]
    assert len(known) == 16 * 1024 // sys.getsizeof(texts[0])


def test_findings_in_the_same_place_are_found_each_time() -> None:
    """The same request is treated the same when it comes again."""
    processor = FACTORY.create(RedactionConfig(detectors=["all"]), make_settings(Kind.PROCESSOR, "redaction"))
    request = make_batch(items=1, attributes={"a": "jane.roe@example.com", "b": "at 12 @ home"})
    assert processor.process(request).to_otlp() == processor.process(request).to_otlp() != request.to_otlp()
