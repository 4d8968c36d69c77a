"""Texts as they should be: what was found in them is treated, each part in its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.readable import readable
from untrace_plugins.processors.redaction.content.config import Action
from untrace_plugins.processors.redaction.content.rules import Rules, Whose, kept_last, keyed_hash
from untrace_plugins.processors.redaction.content.search import Place
from untrace_plugins.texts.leaves import Part

__all__ = ["Outcome", "Treatment"]


@dataclass(slots=True)
class Outcome:
    """What becomes of a text."""

    text: str | None = None
    """The new text, ``None`` if it stays."""
    drop: Action | None = None
    """``DROP_ATTRIBUTE`` or ``DROP_ITEM`` if more than a part of it has to go."""
    counts: Counter[tuple[str, Action]] = field(default_factory=Counter)
    """Findings by detector and by what was done."""


class Treatment:
    """Rules and keys. ``mask`` gives what stands in place of a masked value, ``token`` a name that can be undone."""

    def __init__(
        self, rules: Rules, mask: Callable[[bytes], bytes], hash_key: bytes, token: Callable[[str], str] | None
    ) -> None:
        self.rules = rules
        self._mask = mask
        self._hash_key = hash_key
        self._token = token

    def apply(self, text: str, places: Sequence[Place], key: str, whose: Callable[[Part], Whose]) -> Outcome:
        """Treat places in a text, which are in order."""
        outcome = Outcome()
        pieces: list[str] = []
        last = 0
        counted: set[Finding] = set()
        for place in places:
            part, finding, value = place
            action, keep = self.rules.decide(finding, key, partial(whose, part))
            if finding not in counted and value != "":
                counted.add(finding)
                outcome.counts[finding.detector, action] += 1
            if action in {Action.DROP_ATTRIBUTE, Action.DROP_ITEM}:
                outcome.drop = action if outcome.drop is not Action.DROP_ITEM else outcome.drop
            elif action is not Action.KEEP:
                raw = text[part.start : part.end] if value is None else value
                new = self.replacement(action, keep, finding.type, raw) if raw else ""
                pieces += (text[last : part.start], part.quote, new, part.quote)
                last = part.end
        if pieces:
            outcome.text = "".join([*pieces, text[last:]])
        return outcome

    def replacement(self, action: Action, keep: int, type_: str, raw: str) -> str:
        """Return what stands in place of a part: letters, digits and signs that need no escape in any string."""
        if action is Action.REPLACE:
            return f"<{type_}>"
        value = readable(raw).text
        if action is Action.KEEP_LAST:
            return kept_last(value, keep)
        if action is Action.HASH:
            return keyed_hash(type_, value, self._hash_key)
        if action is Action.TOKEN:
            assert self._token is not None
            return self._token(value)
        return self._mask(value.encode("utf-8", "surrogatepass")).decode()
