"""Whether a stream has said that it ends, though its last byte has not come: clients may leave then."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["LOOKED_AT_BYTES", "has_ended"]

LOOKED_AT_BYTES: Final = 16 * 1024
"""At the end of what came; the last event of most APIs is small."""
_END: Final = re.compile(
    rb"^data: ?\[DONE\]"  # OpenAI
    rb"|^event: ?(message_stop|message-end|response\.(completed|incomplete|failed))\b"  # Anthropic, Cohere, OpenAI
    rb'|^data: ?\{"type": ?"message-end"'  # Cohere without names of events
    rb'|[^\\]"finishReason": ?"',  # Gemini; within a text the quotation marks have a backslash before them
    re.MULTILINE,
)


def has_ended(end: bytes) -> bool:
    """Return whether the event that ends a stream is in the end of what came of it."""
    return _END.search(end) is not None
