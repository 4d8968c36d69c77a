"""Reading what was sealed, wherever it stands in a text."""

from __future__ import annotations

import json

from untrace_plugins.sealing.keys import Keys
from untrace_plugins.sealing.values import SEALED, Unsealer
from untrace_plugins.texts.leaves import Span, parts

__all__ = ["reveal"]


def reveal(text: str, keys: Keys) -> str:
    """Return a text with everything readable again that was sealed with one of the keys; JSON stays JSON.

    What was sealed with another key, or changed since, stays as it is.
    """
    found = list(SEALED.finditer(text))
    unsealer = Unsealer(keys)
    values = [unsealer.unseal(match[0]) for match in found]
    spans = [Span(*match.span(), number) for number, match in enumerate(found) if values[number] is not None]
    pieces: list[str] = []
    last = 0
    for part in parts(text, spans) if spans else ():
        value = values[part.number] or ""
        for _ in range(part.depth):
            value = json.dumps(value, ensure_ascii=False)[1:-1]
        pieces += (text[last : part.start], value)
        last = part.end
    return "".join([*pieces, text[last:]])
