"""Messages: from those of providers and frameworks to those of OTel GenAI v1.41.

Canonical: ``{"role", "parts": [...]}`` with ``name`` where there is one, and ``finish_reason`` in answers. Functions
take what an instrumentation wrote, of whatever shape, and return ``None`` where nothing in it is a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from untrace_plugins.genai.parts import Part, parts, tool_call, tool_response
from untrace_plugins.genai.settled import is_settled
from untrace_plugins.genai.values import dump, structure
from untrace_plugins.genai.words import finish_reason

__all__ = ["Message", "input_messages", "instructions", "message", "messages", "output_messages"]

Message: TypeAlias = dict[str, Any]

_ROLES: Mapping[str, str] = {
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
    "AIMessageChunk": "assistant",
    "chatbot": "assistant",
    "function": "tool",
    "ipython": "tool",
    "developer": "system",
}
_SIMPLE = frozenset({"role", "content"})
_ITEM_TYPES = frozenset({"reasoning", "function_call", "custom_tool_call"})
"""Items of OpenAI's Responses API that belong to an answer without being a message."""
_RESULT_TYPES = frozenset({"function_call_output", "custom_tool_call_output"})
_LANGCHAIN = {
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "SystemMessage": "system",
    "ToolMessage": "tool",
    "FunctionMessage": "tool",
}


def input_messages(value: object) -> str | None:
    """Return ``gen_ai.input.messages`` of a prompt in any known shape."""
    return _messages_text(value, "user")


def output_messages(value: object) -> str | None:
    """Return ``gen_ai.output.messages`` of answers in any known shape."""
    return _messages_text(value, "assistant")


def instructions(value: object) -> str | None:
    """Return ``gen_ai.system_instructions``: a list of parts."""
    return _text_of(value, structure(value), lambda given: list(parts(given)))


def _messages_text(value: object, role: str) -> str | None:
    given = structure(value)
    if given and is_settled(given):
        return value if isinstance(value, str) else dump(given)
    return _text_of(value, given, lambda given: list(messages(given, role)))


def _text_of(value: object, given: object, read: Callable[[Any], list[Any]]) -> str | None:
    """Return JSON of what was read; the text itself where that is in the form already."""
    found = read(given)
    if found and found == given and isinstance(value, str):
        return value
    if not found and isinstance(value, str) and given is not value and any(_leaves(given)):
        found = read([value])  # JSON, but no messages: a text that happens to be JSON
    return dump(found) if found else None


def _leaves(given: object) -> Iterator[object]:
    """Yield what an object or a list holds, one level deep: ``{"output": null}`` says nothing."""
    yield from given.values() if isinstance(given, dict) else given if isinstance(given, list) else [given]


def messages(given: object, role: str) -> Iterator[Message]:
    """Yield the messages of a text, a message, a list of them, or of an object that holds such a list.

    ``role`` is theirs where they do not say it: user for what goes in, assistant for what comes out.
    """
    if isinstance(given, str):
        if given:
            yield {"role": role, "parts": [{"type": "text", "content": given}]}
    elif isinstance(given, list):
        yield from _listed(given, role)
    elif isinstance(given, dict):
        simple = _simple(given)
        yield from _held(given, role) if simple is None else (simple,)


def _simple(given: Any) -> Message | None:
    """Return the message of a role and a text and nothing else, as most are; ``None`` for any other."""
    if given.__class__ is dict and given.keys() == _SIMPLE:
        role, content = given["role"], given["content"]
        if isinstance(role, str) and isinstance(content, str) and role and content and not _looks_like_blocks(content):
            return {"role": _ROLES.get(role, role), "parts": [{"type": "text", "content": content}]}
    return None


def message(given: Mapping[str, Any], role: str = "user") -> Message:
    """Return one message of any known shape."""
    given = _unwrapped(given)
    found: Message = dict(given) if isinstance(given.get("parts"), list) else {}
    for key in ("name", "finish_reason", "tool_calls", "tool_call_id"):
        found.pop(key, None)
    found |= {"role": _role(given, role), "parts": list(_parts(given))}
    name = given.get("name")
    if isinstance(name, str) and name:
        found["name"] = name
    ended = given.get("finish_reason", given.get("finishReason", given.get("stop_reason")))
    if (reason := finish_reason(ended)) is not None:
        found["finish_reason"] = reason
    return found


def _listed(given: list[Any], role: str) -> Iterator[Message]:
    """Read a list: items of the Responses API that are no messages are gathered into one of their own."""
    gathered: list[Part] = []
    for one in [_parsed(item) if isinstance(item, str) else item for item in given]:
        if not gathered and (simple := _simple(one)) is not None:
            yield simple
            continue
        kind = one.get("type") if isinstance(one, dict) else None
        if kind in _ITEM_TYPES or (isinstance(kind, str) and kind.endswith("_call") and "role" not in one):
            gathered += parts(one)
        elif kind in _RESULT_TYPES:
            yield from _flushed(gathered, "assistant")
            gathered = []
            yield {"role": "tool", "parts": list(parts(one))}
        elif kind == "message" and gathered and "role" in one and _ROLES.get(one["role"], one["role"]) == "assistant":
            whole = message(one, role)
            whole["parts"], gathered = [*gathered, *whole["parts"]], []
            yield whole
        elif isinstance(one, dict) and _is_block(one):
            gathered += parts(one)
        else:
            yield from _flushed(gathered, role)
            gathered = []
            yield from messages(one, role)
    yield from _flushed(gathered, "assistant" if role == "assistant" or _of_assistant(gathered) else role)


def _parsed(item: str) -> Any:
    """Return the message that a text in a list is as JSON; any other text as it is."""
    if item[:1] == "{":
        found = structure(item)
        return found if isinstance(found, dict) and any(_held(found, "")) else item
    return item


def _flushed(gathered: list[Part], role: str) -> Iterator[Message]:
    if gathered:
        yield {"role": role, "parts": gathered}


def _of_assistant(gathered: list[Part]) -> bool:
    return any(part["type"] in ("tool_call", "reasoning") for part in gathered)


def _is_block(one: Mapping[str, Any]) -> bool:
    """Return whether an object in a list is a content block rather than a message."""
    keys = one.keys()
    if "role" in keys or "parts" in keys or "kwargs" in keys or "message" in keys or "data" in keys:
        return False
    kind = one.get("type")
    return isinstance(kind, str) and kind not in ("message", *_ROLES, *_ROLES.values()) and "tool_calls" not in keys


def _held(given: Mapping[str, Any], role: str) -> Iterator[Message]:
    """Read an object: a message, or a request or response of a provider that holds messages."""
    if "choices" in given and isinstance(given["choices"], list):
        yield from _choices(given["choices"])
    elif isinstance(given.get("candidates"), list):
        yield from _choices(given["candidates"])
    elif isinstance(given.get("generations"), list):
        yield from _generations(given["generations"])
    elif isinstance(given.get("messages"), list):
        yield from _system(given)
        found = given["messages"]
        yield from messages(found[0] if len(found) == 1 and isinstance(found[0], list) else found, role)
    elif isinstance(given.get("contents"), (list, str)):
        yield from _system(given)
        yield from messages(given["contents"], role)
    elif "role" not in given and isinstance(given.get("output"), (list, dict, str)) and "type" not in given:
        yield from messages(_bedrock(given["output"]), "assistant")
    elif "role" not in given and isinstance(given.get("input"), (list, str)) and "type" not in given:
        yield from _system(given)
        yield from messages(given["input"], role)
    elif "role" not in given and isinstance(given.get("prompt"), (str, list)):
        yield from _system(given)
        yield from messages(given["prompt"], role)
    elif _is_message(given):
        yield message(given, role)


def _bedrock(output: object) -> object:
    return output["message"] if isinstance(output, dict) and isinstance(output.get("message"), dict) else output


def _is_message(given: Mapping[str, Any]) -> bool:
    """Return whether an object is a message: any object may have a content, but only messages a role."""
    if given.get("type") in _ROLES or given.get("type") in ("system", "tool"):
        return not given.keys().isdisjoint(("content", "data"))
    return not given.keys().isdisjoint(("role", "parts", "tool_calls", "function_call", "kwargs", "message"))


def _system(given: Mapping[str, Any]) -> Iterator[Message]:
    """Yield what stands beside the messages as instructions."""
    for key in ("system", "instructions", "systemInstruction", "system_instruction"):
        content = given.get(key)
        if isinstance(content, dict):
            content = content.get("parts", content.get("content"))
        if content and (found := list(parts(content))):
            yield {"role": "system", "parts": found}


def _choices(choices: list[Any]) -> Iterator[Message]:
    for choice in choices:
        if not isinstance(choice, dict):
            continue
        inner = choice.get("message", choice.get("content", choice.get("delta")))
        inner = inner if isinstance(inner, dict) else {"content": choice.get("text", inner)}
        whole = _simple({key: value for key, value in inner.items() if value}) or message(inner, "assistant")
        if (reason := finish_reason(choice.get("finish_reason", choice.get("finishReason")))) is not None:
            whole["finish_reason"] = reason
        yield whole


def _generations(generations: list[Any]) -> Iterator[Message]:
    """Read LangChain's ``LLMResult``."""
    flat = generations[0] if generations and isinstance(generations[0], list) else generations
    for one in flat:
        if isinstance(one, dict):
            inner = one.get("message")
            whole = message(inner if isinstance(inner, dict) else {"content": one.get("text")}, "assistant")
            info = one.get("generation_info")
            if isinstance(info, dict) and (reason := finish_reason(info.get("finish_reason"))) is not None:
                whole["finish_reason"] = reason
            yield whole


def _unwrapped(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the message within LangChain's serialised forms, and within a choice."""
    if isinstance(given.get("kwargs"), dict) and isinstance(given.get("id"), list):
        name = str(given["id"][-1]) if given["id"] else ""
        return {"role": _LANGCHAIN.get(name, "user"), **given["kwargs"]}
    if isinstance(given.get("data"), dict) and isinstance(given.get("type"), str):
        return {"role": given["type"], **given["data"]}
    if isinstance(given.get("message"), dict):
        return {**{key: given[key] for key in ("finish_reason", "tool_calls") if key in given}, **given["message"]}
    return given


def _role(given: Mapping[str, Any], role: str) -> str:
    found = given.get("role")
    if not isinstance(found, str) or not found:
        kind = given.get("type")
        found = kind if kind in _ROLES or kind in ("system", "tool") else None
    if found is None:
        return "tool" if "tool_call_id" in given else role
    return _ROLES.get(found, found)


def _parts(given: Mapping[str, Any]) -> Iterator[Part]:
    content = given.get("parts", given.get("content", given.get("text")))
    if isinstance(content, dict) and isinstance(content.get("parts"), list):  # Gemini's content within an event
        content = content["parts"]
    answers = given.get("tool_call_id", given.get("toolCallId"))
    if answers is None and _ROLES.get(str(given.get("role")), given.get("role")) == "tool":
        answers = given.get("id", given.get("name")) if not isinstance(content, list) else None
    if isinstance(answers, str) and _is_answer(content):
        yield tool_response(answers, content)
        return
    reasoning = given.get("reasoning_content", given.get("reasoning"))
    if isinstance(reasoning, str) and reasoning:
        yield {"type": "reasoning", "content": reasoning}
    calls = list(_calls(given))
    known = {part.get("id") for part in calls}
    for part in parts(structure(content) if _looks_like_blocks(content) else content):
        if not calls or part["type"] != "tool_call" or part.get("id") not in known:
            yield part
    if isinstance(refusal := given.get("refusal"), str) and refusal:
        yield {"type": "text", "content": refusal}
    yield from calls


def _is_answer(content: object) -> bool:
    """Return whether content is what a tool gave, and not parts that say so themselves."""
    kinds = {one.get("type") for one in content if isinstance(one, dict)} if isinstance(content, list) else set()
    return kinds.isdisjoint(("tool_call_response", "tool_result", "tool-result"))


def _looks_like_blocks(content: object) -> bool:
    """Return whether a text is a list of content blocks that an instrumentation has encoded: ``[{"type": …``."""
    return isinstance(content, str) and content.startswith("[{") and '"type"' in content[:40]


def _calls(given: Mapping[str, Any]) -> Iterator[Part]:
    called = given.get("tool_calls", given.get("toolCalls"))
    called = structure(called) if isinstance(called, str) else called
    for call in called if isinstance(called, list) else ():
        if isinstance(call, dict):
            function = call.get("function")
            inner = function if isinstance(function, dict) else call
            yield tool_call(
                call.get("id", call.get("toolCallId")),
                inner.get("name", inner.get("toolName")),
                next((inner[key] for key in ("arguments", "args", "input") if inner.get(key) is not None), None),
            )
    function = given.get("function_call")
    if isinstance(function, dict) and function.get("name") and not called:
        yield tool_call(None, function["name"], function.get("arguments"))
