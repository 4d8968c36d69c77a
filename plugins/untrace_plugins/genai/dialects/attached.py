"""What applications attach to their spans under a prefix: session, user, tags, and everything else as metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.values import dump, text, texts

__all__ = ["attached", "tags"]

_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("session_id", "sessionId", "session.id"), names.SESSION_ID),
    **dict.fromkeys(("user_id", "userId", "user.id"), names.USER_ID),
    **dict.fromkeys(("conversation_id", "conversationId", "thread_id"), names.CONVERSATION_ID),
    "tags": names.TAGS,
}


def attached(
    span: Reading, prefix: str, decode: Callable[[Value], Any] = lambda value: value, libraries: tuple[str, ...] = ()
) -> None:
    """Take every attribute with the prefix. ``decode`` undoes what the library did to the values.

    ``libraries`` is how keys begin that no application attached, but the library itself; they stay where they are.
    """
    metadata: dict[str, Any] = {}
    for key, value in list(span.prefixed(prefix)):
        if key.startswith(libraries):
            continue
        canonical = _WORDS.get(key)
        found = decode(value)
        if canonical is not None and (known := tags(found) if canonical == names.TAGS else text(found)) is not None:
            span.put(canonical, known, prefix + key)
        else:
            metadata[key] = found
    if metadata:
        span.put(names.METADATA, dump(metadata), *(prefix + key for key in metadata))


def tags(value: Value) -> Value:
    """Return tags of a list, of JSON, or of a text with commas."""
    if isinstance(value, str) and value[:1] != "[":
        return texts([tag.strip() for tag in value.split(",")])
    return texts(value)
