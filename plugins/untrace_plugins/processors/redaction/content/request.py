"""One request on its way through the detectors: what was found, what is done with it, and what is told about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from untrace_pipeline.api import Finding
from untrace_pipeline.data import Signal
from untrace_pipeline.data.codecs.wire import varint
from untrace_plugins.processors.redaction.config import RedactionConfig
from untrace_plugins.processors.redaction.content.config import Action, OnError
from untrace_plugins.processors.redaction.content.frames import Frame
from untrace_plugins.processors.redaction.content.names import IDENTITIES, IDENTITY
from untrace_plugins.processors.redaction.content.rules import Whose
from untrace_plugins.processors.redaction.content.search import Found, Place, Search
from untrace_plugins.processors.redaction.content.speaker import Speakers
from untrace_plugins.processors.redaction.content.streams import across
from untrace_plugins.processors.redaction.content.treat import Outcome, Treatment
from untrace_plugins.processors.redaction.content.walk import Text
from untrace_plugins.texts.leaves import Kind, Part
from untrace_plugins.texts.scope import Scope

__all__ = ["Request"]

_STARS = "****"
_STRING = b"\n"
"""Tag of a string in ``AnyValue``."""


class Request:
    """What becomes of the texts of one request."""

    def __init__(
        self, signal: Signal, data: bytes, search: Search, treatment: Treatment, config: RedactionConfig
    ) -> None:
        self._data = data
        self._search = search
        self._treatment = treatment
        self._on_error = config.on_error
        self._identities = config.mode is not None
        self._speakers = Speakers(signal, data)
        self.changes: dict[Frame, bytes | None] = {}
        """New contents of fields; ``None`` removes one."""
        self.dropped: set[Frame] = set()
        """Items that go."""
        self.counts: Counter[tuple[str, Action]] = Counter()
        """Findings by detector and by what was done."""
        self.failures: Counter[tuple[str, str]] = Counter()
        """Failures by detector and reason."""
        self.touched: dict[Frame, list[str]] = {}
        """Keys in which something was found, by item."""

    def treat(self, texts: Sequence[Text]) -> None:
        """Look at all texts, and decide what becomes of them."""
        cut = self._cut(texts)
        for text in texts:
            content = self._content(text) if text not in self.changes else None
            if content is not None:
                self._treat(text, content, cut.get(text, ()))

    def _content(self, text: Text) -> str | None:
        if text.number is not None:
            return str(text.number)
        try:
            return self._data[text.start : text.stop].decode()
        except UnicodeDecodeError:  # only in bytes: they are no text then
            return None

    def _treat(self, text: Text, content: str, cut: Sequence[Place]) -> None:
        if self._identities and not text.is_key and text.name in IDENTITIES:
            part = Part(0, len(content), 0, Kind.TEXT, 0, Scope(), "")
            places = [Place(part, Finding(0, len(content), "USER", IDENTITY))]
        else:
            places, failures = self._look(text, content)
            if self._has_failed(failures, [text]):
                return
        if cut:
            places = _merged(places, cut)
        if places:
            self._apply(text, self._treatment.apply(content, places, text.name, partial(self._whose, text)))

    def _look(self, text: Text, content: str) -> Found:
        if text.is_key:
            return self._search.look_at_key(content)
        return self._search.look(content, text.name if text.field is not None else "")

    def _has_failed(self, failures: Mapping[str, str], texts: Sequence[Text]) -> bool:
        """Do what is to be done with texts in which detectors failed; return whether that is all that is done."""
        if not failures:
            return False
        self.failures.update(failures.items())
        if self._on_error is OnError.PASS:
            return False
        if self._on_error is OnError.DROP:
            self.dropped.update(text.item for text in texts if text.item is not None)
        self.changes.update({text: _encoded(text, _STARS) for text in texts})
        return True

    def _apply(self, text: Text, outcome: Outcome) -> None:
        self.counts += outcome.counts
        if text.item is not None:
            self.touched.setdefault(text.item, []).append(text.name)
        if outcome.drop is Action.DROP_ITEM and text.item is not None:
            self.dropped.add(text.item)
        elif outcome.drop is not None:
            # What cannot go is masked: the name of a span, its status.
            self.changes[text.field or text] = None if text.field is not None else _STARS.encode()
        elif outcome.text is not None:
            self.changes[text] = _encoded(text, outcome.text)

    def _whose(self, text: Text, part: Part) -> Whose:
        """Return whose text a part is: the document says it, or what stands beside the text."""
        beside = self._speakers.whose(text)
        return Whose(part.scope.role or beside.role, part.scope.tool or beside.tool)

    def _cut(self, texts: Sequence[Text]) -> Mapping[Text, list[Place]]:
        """Return what lies in several events of the same item, each of which holds a piece."""
        streams: dict[tuple[Frame | None, str], list[Text]] = {}
        for text in texts:
            if text.event is not None and not text.is_key and text.field is not None and text.number is None:
                streams.setdefault((text.item, text.name), []).append(text)
        found: dict[Text, list[Place]] = {}
        for chunks in streams.values():
            if len(chunks) > 1:
                for number, place in across([self._content(text) or "" for text in chunks], self._search.find):
                    found.setdefault(chunks[number], []).append(place)
                self._has_failed(self._search.failed(), chunks)
        return found


def _encoded(text: Text, new: str) -> bytes:
    """Return what stands in the place of a text; in that of a number, a value that is a string."""
    data = new.encode("utf-8", "surrogatepass")
    return data if text.number is None else _STRING + varint(len(data)) + data


def _merged(places: Sequence[Place], cut: Sequence[Place]) -> list[Place]:
    """Return places in order; what was cut in two wins over what was found in one of the pieces."""
    taken = sorted((place.part.start, place.part.end) for place in cut)
    kept = [
        place for place in places if not any(place.part.start < end and start < place.part.end for start, end in taken)
    ]
    return sorted([*kept, *cut], key=lambda place: place.part.start)
