"""Guesses of tokens."""

from __future__ import annotations

import pytest

from untrace_plugins.genai.providers.estimate import estimated_tokens

pytestmark = pytest.mark.once

TEXT = "The quick brown fox jumps over the lazy dog, and then it does so again because it can. "


def test_known_counts() -> None:
    """Within a fifth of what tokenizers say of English: this sentence has 20 tokens in o200k_base."""
    messages = [{"role": "user", "parts": [{"type": "text", "content": TEXT * 20}]}]
    assert estimated_tokens(messages) == pytest.approx(20 * 20, rel=0.2)


def test_what_counts() -> None:
    """Texts, arguments and results do; names of parts, and pictures, do not."""
    assert estimated_tokens(None) == estimated_tokens([]) == 0
    picture = {"type": "blob", "modality": "image", "content": "A" * 100_000}
    assert estimated_tokens([{"role": "user", "parts": [picture]}]) == 4
    call = {"type": "tool_call", "id": "x" * 400, "name": "look", "arguments": {"a": {"b": "y" * 400}}}
    assert estimated_tokens([{"role": "assistant", "parts": [call]}]) == 4 + 101
