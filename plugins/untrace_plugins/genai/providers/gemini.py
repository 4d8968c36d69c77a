"""Google's Gemini, also as Vertex AI serves it: contents, candidates, and streams of answers that each have a part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.parameters import parameters
from untrace_plugins.genai.dialects.parameters import response as read_response
from untrace_plugins.genai.media import first
from untrace_plugins.genai.providers.content import put_answers, put_instructions, put_questions
from untrace_plugins.genai.providers.reader import Json, Reader, dicts, mapping
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.values import integer

__all__ = ["READER"]

_TYPES: Final = {"application/json": "json", "text/x.enum": "text", "text/plain": "text"}
_MODALITIES: Final = {"IMAGE": "image", "AUDIO": "speech"}
_LAST: Final = ("responseId", "modelVersion", "usageMetadata", "promptFeedback", "error")
_REASONING_KEYS: Final = ("thinkingLevel", "thinking_level")


def _request(span: Reading, given: Json, content: bool) -> None:
    config = mapping(first(given, "generationConfig", "generation_config"))
    tools = list(_definitions(given.get("tools")))
    choices = first(config, "candidateCount", "candidate_count")
    parameters(span, {**config, "n": choices, "tools": tools or None, "service_tier": None})
    thinking = mapping(first(config, "thinkingConfig", "thinking_config"))
    level = first(thinking, *_REASONING_KEYS)
    span.put(names.REQUEST_REASONING_LEVEL, level.lower() if isinstance(level, str) and level else None)
    wanted = first(config, "responseMimeType", "response_mime_type")
    span.put(names.OUTPUT_TYPE, _TYPES.get(wanted) if isinstance(wanted, str) else None)
    for modality in first(config, "responseModalities", "response_modalities") or ():
        span.put(names.OUTPUT_TYPE, _MODALITIES.get(modality))
    if content:
        system = first(given, "systemInstruction", "system_instruction")
        put_instructions(span, system.get("parts") if isinstance(system, dict) else system)
        contents = given.get("contents")
        put_questions(span, [contents] if isinstance(contents, dict) else contents)


def _definitions(tools: object) -> Iterator[dict[str, Any]]:
    """Yield each function of each tool, and each tool that is none."""
    for tool in dicts(tools):
        for key, value in tool.items():
            if key in ("functionDeclarations", "function_declarations"):
                yield from dicts(value)
            else:
                yield {"type": key, "name": key}


def _response(span: Reading, given: Json, content: bool) -> None:
    usage = mapping(first(given, "usageMetadata", "usage_metadata"))
    if (by_tools := integer(usage.get("toolUsePromptTokenCount"))) is not None:
        usage = {**usage, "promptTokenCount": (integer(usage.get("promptTokenCount")) or 0) + by_tools}
    candidates = [_calling(candidate) for candidate in dicts(given.get("candidates"))]
    read_response(span, {**given, "usageMetadata": usage, "candidates": candidates})
    if mapping(given.get("promptFeedback")).get("blockReason"):
        span.put(names.RESPONSE_FINISH_REASONS, [names.FinishReason.CONTENT_FILTER.value])
    if content and candidates:
        put_answers(span, {"candidates": candidates})


def _calling(candidate: dict[str, Any]) -> dict[str, Any]:
    """Return a candidate that says that functions are to be called: to Google that is a stop like any other."""
    parts = dicts(mapping(candidate.get("content")).get("parts"))
    calls = any("functionCall" in part for part in parts)
    stopped = calls and candidate.get("finishReason") == "STOP"
    return {**candidate, "finishReason": names.FinishReason.TOOL_CALL.value} if stopped else candidate


class _Merger:
    def __init__(self) -> None:
        self._said: dict[str, Any] = {}
        self._candidates: dict[int, dict[str, Any]] = {}
        self._parts: dict[int, list[dict[str, Any]]] = {}

    def add(self, event: dict[str, Any]) -> bool:
        brought = False
        for key in _LAST:
            if value := event.get(key):
                self._said[key] = value
        for candidate in event.get("candidates") or ():
            index = candidate.get("index", 0)
            known = self._candidates.setdefault(index, {})
            if reason := candidate.get("finishReason"):
                known["finishReason"] = reason
            parts = self._parts.setdefault(index, [])
            for part in dicts(mapping(candidate.get("content")).get("parts")):
                brought |= part.get("text") != ""
                _append(parts, part)
        return brought

    def whole(self) -> dict[str, Any]:
        candidates = [
            {"content": {"role": "model", "parts": [_joined(part) for part in self._parts[index]]}, **known}
            for index, known in sorted(self._candidates.items())
        ]
        return {**self._said, "candidates": candidates} if candidates else self._said


def _append(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """Add a part; text goes to the text before it, thoughts to thoughts."""
    text = part.get("text")
    if not isinstance(text, str):
        parts.append(part)
    elif parts and "pieces" in parts[-1] and parts[-1].get("thought") == part.get("thought"):
        parts[-1]["pieces"].append(text)
    elif text:
        parts.append({"pieces": [text], **({"thought": part["thought"]} if "thought" in part else {})})


def _joined(part: dict[str, Any]) -> dict[str, Any]:
    pieces = part.get("pieces")
    return part if pieces is None else {**part, "text": "".join(pieces)}


READER: Final = Reader(names.Operation.GENERATE_CONTENT, _request, _response, _Merger)
