"""OpenAI's answers, and Azure's, which add what their content filters say."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from tests.support.llm_upstream.ask import Ask
from tests.support.llm_upstream.pieces import event, pieces
from tests.support.llm_upstream.truth import ToolCall, Truth

CREATED = 1_764_400_000
FINGERPRINT = "fp_44added55e"
DIMENSIONS = 8
_FINISH = {"stop": "stop", "length": "length", "tool_call": "tool_calls"}
_FILTERS = {kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")}
_PROMPT_FILTERS = [{"prompt_index": 0, "content_filter_results": _FILTERS}]


def chat(ask: Ask, truth: Truth) -> dict[str, Any]:
    """Return a chat completion, with as many choices as were asked for."""
    message: dict[str, Any] = {"role": "assistant", "content": truth.text or None, "refusal": None, "annotations": []}
    if truth.reasoning:
        message["reasoning_content"] = truth.reasoning
    if truth.tool_calls:
        message["tool_calls"] = [_tool_call(call) for call in truth.tool_calls]
    choice: dict[str, Any] = {"message": message, "logprobs": None, "finish_reason": _FINISH[truth.finish or "stop"]}
    if _is_azure(ask):
        choice["content_filter_results"] = _FILTERS
    choices = [{"index": index, **choice} for index in range(ask.body.get("n") or 1)]
    answer = {**_head(truth, "chat.completion"), "choices": choices, "usage": usage(truth), **_tail()}
    return {**answer, "prompt_filter_results": _PROMPT_FILTERS} if _is_azure(ask) else answer


def chat_stream(ask: Ask, truth: Truth) -> Iterator[bytes]:
    """Yield the events of a chat completion."""
    head = {**_head(truth, "chat.completion.chunk"), **_tail()}
    counts: dict[str, Any] = {"usage": None} if truth.usage_sent else {}

    def chunk(*choices: dict[str, Any], **more: Any) -> bytes:
        return event({**head, "choices": list(choices), **counts, **more})

    if _is_azure(ask):
        yield chunk(model="", prompt_filter_results=_PROMPT_FILTERS)
    for index in range(ask.body.get("n") or 1):
        for delta in _deltas(truth):
            yield chunk(_choice(index, delta, None), obfuscation="xK3"[: 1 + len(str(delta)) % 3])
        yield chunk(_choice(index, {}, _FINISH[truth.finish or "stop"]))
    if truth.usage_sent:
        yield chunk(usage=usage(truth))
    yield b"data: [DONE]\n\n"


def completion(_ask: Ask, truth: Truth) -> dict[str, Any]:
    """Return a legacy completion."""
    choice = {"text": truth.text, "index": 0, "logprobs": None, "finish_reason": _FINISH[truth.finish or "stop"]}
    return {**_head(truth, "text_completion"), "choices": [choice], "usage": usage(truth)}


def completion_stream(_ask: Ask, truth: Truth) -> Iterator[bytes]:
    """Yield the events of a legacy completion."""
    head = _head(truth, "text_completion")
    for text in pieces(truth.text):
        yield event({**head, "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": None}]})
    last = {"text": "", "index": 0, "logprobs": None, "finish_reason": _FINISH[truth.finish or "stop"]}
    yield event({**head, "choices": [last]})
    if truth.usage_sent:
        yield event({**head, "choices": [], "usage": usage(truth)})
    yield b"data: [DONE]\n\n"


def embeddings(ask: Ask, truth: Truth) -> dict[str, Any]:
    """Return vectors, as numbers or as base64 of floats."""
    given = ask.body.get("input")
    count = len(given) if isinstance(given, list) else 1
    packed = ask.body.get("encoding_format") == "base64"
    vector: Any = "AACAPwAAAEAAAEBAAACAQAAAoEAAAMBAAADgQAAAAEE=" if packed else [n / 8 for n in range(DIMENSIONS)]
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)]
    counts = {"prompt_tokens": truth.input_tokens, "total_tokens": truth.input_tokens}
    return {"object": "list", "data": data, "model": truth.response_model, "usage": counts}


def response(ask: Ask, truth: Truth) -> dict[str, Any]:
    """Return an object of the Responses API."""
    return _response(ask, truth, "incomplete" if truth.finish == "length" else "completed", _output(truth))


def response_stream(ask: Ask, truth: Truth) -> Iterator[bytes]:
    """Yield the typed events of the Responses API."""
    numbers = itertools.count()

    def typed(kind: str, **fields: Any) -> bytes:
        return event({"type": kind, "sequence_number": next(numbers), **fields}, kind)

    begun = _response(ask, truth, "in_progress", []) | {"usage": None}
    yield typed("response.created", response=begun)
    yield typed("response.in_progress", response=begun)
    for index, item in enumerate(_output(truth)):
        place = {"output_index": index, "item_id": item["id"]}
        yield typed("response.output_item.added", output_index=index, item=_empty(item))
        match item["type"]:
            case "reasoning":
                part = {**place, "summary_index": 0}
                for text in pieces(truth.reasoning):
                    yield typed("response.reasoning_summary_text.delta", **part, delta=text)
                yield typed("response.reasoning_summary_text.done", **part, text=truth.reasoning)
            case "function_call":
                for text in pieces(item["arguments"], 5):
                    yield typed("response.function_call_arguments.delta", **place, delta=text)
                yield typed("response.function_call_arguments.done", **place, arguments=item["arguments"])
            case _:
                yield from _text_events(typed, place, item, truth)
        yield typed("response.output_item.done", output_index=index, item=item)
    whole = response(ask, truth)
    yield typed(f"response.{whole['status']}", response=whole)


def models() -> dict[str, Any]:
    """Return the list of models."""
    ids = ("gpt-4o-mini", "gpt-4o", "o4-mini", "text-embedding-3-small")
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "openai"} for name in ids]
    return {"object": "list", "data": data}


def file(ask: Ask) -> dict[str, Any]:
    """Return what an upload answers."""
    return {
        "id": f"file-{ask.digest[:22]}",
        "object": "file",
        "bytes": ask.size,
        "created_at": CREATED,
        "filename": "batch.jsonl",
        "purpose": "batch",
        "status": "processed",
    }


def usage(truth: Truth) -> dict[str, Any]:
    """Return what chat completions say of tokens."""
    asked, said = truth.input_tokens or 0, truth.output_tokens or 0
    return {
        "prompt_tokens": asked,
        "completion_tokens": said,
        "total_tokens": asked + said,
        "prompt_tokens_details": {"cached_tokens": truth.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": truth.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _is_azure(ask: Ask) -> bool:
    return ask.provider == "azure.ai.openai"


def _head(truth: Truth, kind: str) -> dict[str, Any]:
    return {"id": truth.response_id, "object": kind, "created": CREATED, "model": truth.response_model}


def _tail() -> dict[str, Any]:
    return {"service_tier": "default", "system_fingerprint": FINGERPRINT}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.json}}


def _choice(index: int, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _deltas(truth: Truth) -> Iterator[dict[str, Any]]:
    """Yield the deltas of one choice; fragments of parallel calls take turns."""
    yield {"role": "assistant", "content": "" if truth.text else None, "refusal": None}
    for text in pieces(truth.reasoning):
        yield {"reasoning_content": text}
    for text in pieces(truth.text):
        yield {"content": text}
    for index, call in enumerate(truth.tool_calls):
        begun = {**_tool_call(call), "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [{"index": index, **begun}]}
    fragments = [[(index, text) for text in pieces(call.json, 5)] for index, call in enumerate(truth.tool_calls)]
    for turn in itertools.zip_longest(*fragments):
        for index, text in (each for each in turn if each):
            yield {"tool_calls": [{"index": index, "function": {"arguments": text}}]}


def _output(truth: Truth) -> list[dict[str, Any]]:
    seed = (truth.response_id or "")[5:25]
    items: list[dict[str, Any]] = []
    if truth.reasoning:
        summary = [{"type": "summary_text", "text": truth.reasoning}]
        items.append({"id": f"rs_{seed}", "type": "reasoning", "summary": summary})
    for number, call in enumerate(truth.tool_calls):
        items.append(
            {
                "id": f"fc_{number}{seed}",
                "type": "function_call",
                "status": "completed",
                "arguments": call.json,
                "call_id": call.id,
                "name": call.name,
            }
        )
    if truth.text:
        status = "incomplete" if truth.finish == "length" else "completed"
        content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": truth.text}]
        items.append(
            {"id": f"msg_{seed}", "type": "message", "status": status, "role": "assistant", "content": content}
        )
    return items


def _empty(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item as it is announced."""
    blank = {"summary": [], "arguments": "", "content": [], "status": "in_progress"}
    return {key: blank.get(key, value) for key, value in item.items()}


def _text_events(typed: Any, place: dict[str, Any], item: dict[str, Any], truth: Truth) -> Iterator[bytes]:
    part = {**place, "content_index": 0}
    whole = item["content"][0]
    yield typed("response.content_part.added", **part, part={**whole, "text": ""})
    for text in pieces(truth.text):
        yield typed("response.output_text.delta", **part, delta=text, logprobs=[], obfuscation="q1")
    yield typed("response.output_text.done", **part, text=truth.text, logprobs=[])
    yield typed("response.content_part.done", **part, part=whole)


def _response(ask: Ask, truth: Truth, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    body = ask.body
    asked, said = truth.input_tokens or 0, truth.output_tokens or 0
    return {
        "id": truth.response_id,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": truth.response_model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": body.get("temperature", 1.0),
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": json.loads(json.dumps(body.get("tools") or [])),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": asked,
            "input_tokens_details": {"cached_tokens": truth.cached_tokens},
            "output_tokens": said,
            "output_tokens_details": {"reasoning_tokens": truth.reasoning_tokens},
            "total_tokens": asked + said,
        },
        "user": None,
        "metadata": {},
    }
