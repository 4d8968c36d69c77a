"""Texts come again: system prompts, definitions of tools, the turns of a conversation with every further one."""

from __future__ import annotations

import sys
from collections import OrderedDict

__all__ = ["CleanTexts"]

_MAX_BYTES = 8 << 20
"""Memory of all texts that are remembered."""
_LONGEST = 16
"""No single text takes more than this part of it."""


class CleanTexts:
    """Texts in which nothing was found, those that were asked for last; of what was found nothing is kept."""

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._texts: OrderedDict[tuple[str, str], int] = OrderedDict()

    def has(self, context: str, text: str) -> bool:
        """Whether it is known that nothing is in a text in this context."""
        known = (context, text) in self._texts
        if known:
            self._texts.move_to_end((context, text))
        return known

    def note(self, context: str, text: str) -> None:
        """Remember that nothing is in it."""
        size = sys.getsizeof(text)
        if size * _LONGEST > self._max_bytes or (context, text) in self._texts:
            return
        self._texts[context, text] = size
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._bytes -= self._texts.popitem(last=False)[1]
