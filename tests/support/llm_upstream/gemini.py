"""Gemini's answers: every part of a stream is a whole answer, and the last one counts the tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.support.llm_upstream.ask import Ask
from tests.support.llm_upstream.pieces import event, pieces
from tests.support.llm_upstream.truth import Truth

_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool_call": "STOP"}


def generate(_ask: Ask, truth: Truth) -> dict[str, Any]:
    """Return an answer."""
    return _answer(truth, _parts(truth), last=True)


def generate_stream(ask: Ask, truth: Truth) -> Iterator[bytes]:
    """Yield an answer in parts, as events or as the elements of one JSON array."""
    answers = list(_answers(truth))
    if ask.form == "sse":
        yield from (event(answer, end="\r\n") for answer in answers)
        return
    for number, answer in enumerate(answers):
        yield (b"," if number else b"[") + json.dumps(answer, indent=2, ensure_ascii=False).encode() + b"\r\n"
    yield b"]"


def embed(ask: Ask, _truth: Truth) -> dict[str, Any]:
    """Return one vector, or as many as were asked for."""
    values = {"values": [n / 8 for n in range(8)]}
    requests = ask.body.get("requests")
    return {"embedding": values} if requests is None else {"embeddings": [values for _ in requests]}


def _answers(truth: Truth) -> Iterator[dict[str, Any]]:
    for text in pieces(truth.reasoning):
        yield _answer(truth, [{"text": text, "thought": True}], last=False)
    if truth.tool_calls:
        yield _answer(truth, _calls(truth), last=True)
        return
    texts = list(pieces(truth.text))
    for text in texts[:-1]:
        yield _answer(truth, [{"text": text}], last=False)
    yield _answer(truth, [{"text": texts[-1]}], last=True)


def _answer(truth: Truth, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = _FINISH[truth.finish or "stop"]
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(truth, last=last),
        "modelVersion": truth.response_model,
        "responseId": truth.response_id,
    }


def _usage(truth: Truth, *, last: bool) -> dict[str, Any]:
    asked, said = truth.input_tokens or 0, (truth.output_tokens or 0) - truth.reasoning_tokens
    counts: dict[str, Any] = {"promptTokenCount": asked, "totalTokenCount": asked}
    if truth.cached_tokens:
        counts["cachedContentTokenCount"] = truth.cached_tokens
    if truth.reasoning_tokens:
        counts["thoughtsTokenCount"] = truth.reasoning_tokens
    counts["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": asked}]
    if last:
        counts |= {"candidatesTokenCount": said, "totalTokenCount": asked + (truth.output_tokens or 0)}
    return counts


def _parts(truth: Truth) -> list[dict[str, Any]]:
    thought = [{"text": truth.reasoning, "thought": True}] if truth.reasoning else []
    return [*thought, *([{"text": truth.text}] if truth.text else []), *_calls(truth)]


def _calls(truth: Truth) -> list[dict[str, Any]]:
    return [{"functionCall": {"name": call.name, "args": call.arguments}} for call in truth.tool_calls]
