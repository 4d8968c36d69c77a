"""Messages of requests and answers as the JSON that spans have; what is text stays text, whatever it looks like."""

from __future__ import annotations

from typing import Any

from untrace_plugins.genai import names
from untrace_plugins.genai.messages import messages
from untrace_plugins.genai.parts import parts
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.values import dump

__all__ = ["put_answers", "put_instructions", "put_questions", "texts_asked"]


def put_questions(span: Reading, given: object) -> None:
    """Set the input messages: of a text, or of a list of messages."""
    found = texts_asked([given]) if isinstance(given, str) else list(messages(given, "user"))
    span.put(names.INPUT_MESSAGES, dump(found) if found else None)


def texts_asked(texts: list[Any]) -> list[dict[str, Any]]:
    """Return a message of the user for each text."""
    return [{"role": "user", "parts": [{"type": "text", "content": text}]} for text in texts if text]


def put_answers(span: Reading, given: object) -> None:
    """Set the output messages."""
    found = list(messages(given, "assistant"))
    span.put(names.OUTPUT_MESSAGES, dump(found) if found else None)


def put_instructions(span: Reading, given: object) -> None:
    """Set the instructions that stand beside the messages."""
    found = list(parts(given))
    span.put(names.SYSTEM_INSTRUCTIONS, dump(found) if found else None)
