"""Tokens from the length of texts, for who wants a guess where the provider reports none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

__all__ = ["estimated_tokens"]

BYTES_PER_TOKEN: Final = 4
"""UTF-8 bytes that a token stands for: English and code, within a fifth; other scripts need fewer characters per token
and have more bytes per character."""
PER_MESSAGE: Final = 4
"""Tokens that a message costs beside its text."""

_TEXTS: Final = frozenset({"content", "response", "arguments", "name", "description"})
_MEDIA: Final = ("blob", "uri", "file")
"""Compared, not looked up: what stands there may be of any type."""


def estimated_tokens(messages: Any) -> int:
    """Return about how many tokens canonical messages, parts or definitions are; pictures and sound count nothing."""
    if not messages:
        return 0
    length = sum(len(text.encode()) for text in _texts(messages))
    return PER_MESSAGE * len(messages) + -(-length // BYTES_PER_TOKEN)


def _texts(value: Any, *, all_: bool = False) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, all_=all_)
    elif isinstance(value, dict) and value.get("type") not in _MEDIA:
        for key, one in value.items():
            if all_ or key in _TEXTS or isinstance(one, (dict, list)):
                yield from _texts(one, all_=all_ or key == "arguments")
