"""Parts of messages: from the content blocks of providers and frameworks to those of OTel GenAI v1.41.

Read are OpenAI (chat and responses), Anthropic, Gemini, Bedrock, LangChain, Vercel AI SDK and the convention itself.
A block of no known kind is kept as it is, if it has a type, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from untrace_plugins.genai.media import DATA_URL, first, format_of, media
from untrace_plugins.genai.values import dump, exact_structure

__all__ = ["Part", "arguments", "parts", "tool_call", "tool_response"]

Part: TypeAlias = dict[str, Any]


def parts(content: object) -> Iterator[Part]:
    """Yield the parts of a message's content: text, a block, or a list of either."""
    if isinstance(content, str):
        if content:
            yield {"type": "text", "content": content}
    elif isinstance(content, list):
        for block in content:
            yield from parts(block)
    elif isinstance(content, dict):
        yield from _block(content)
    elif content is not None:
        yield {"type": "text", "content": dump(content) or str(content)}


def arguments(value: object) -> object:
    """Return the arguments of a function call as an object where they are JSON, otherwise as they are."""
    return exact_structure(value)


def tool_call(id: object, name: object, given: object) -> Part:
    """Return a ``tool_call`` part."""
    part: Part = {"type": "tool_call"}
    if isinstance(id, str) and id:
        part["id"] = id
    part["name"] = name if isinstance(name, str) else ""
    part["arguments"] = arguments(given)
    return part


def tool_response(id: object, response: object) -> Part:
    """Return a ``tool_call_response`` part; ``response`` is text or the structure that the tool gave."""
    part: Part = {"type": "tool_call_response"}
    if isinstance(id, str) and id:
        part["id"] = id
    part["response"] = _plain(response)
    return part


def _plain(response: object) -> object:
    """Return the text of a list that holds one text block; anything else as it is."""
    if isinstance(response, list) and len(response) == 1 and isinstance(response[0], dict):
        found = _text_of(response[0])
        return response if found is None else found
    return response


def _text_of(block: Mapping[str, Any]) -> str | None:
    if block.keys() <= {"type", "text", "content", "annotations", "cache_control"}:
        text = block.get("text", block.get("content"))
        return text if isinstance(text, str) else None
    return None


def _block(block: dict[str, Any]) -> Iterator[Part]:
    kind = block.get("type")
    reader = _BY_TYPE.get(kind) if isinstance(kind, str) else None
    if reader is not None:
        yield from reader(block)
    elif isinstance(kind, str) and kind.endswith("_tool_result"):
        yield _server_response(block)
    elif isinstance(kind, str):
        yield block
    else:
        yield from _untyped(block)


def _untyped(block: dict[str, Any]) -> Iterator[Part]:
    """Read a block of Gemini or Bedrock, whose only key says what it is."""
    for key, reader in _BY_KEY.items():
        value = block.get(key)
        if value is not None:
            yield from reader(value, block)
            return
    if block:
        yield {"type": "unknown", "content": block}


def _text(block: dict[str, Any]) -> Iterator[Part]:
    content = block.get("content", block.get("text"))
    if block["type"] == "text" and content is block.get("content") and isinstance(content, str):
        yield block
        return
    if isinstance(content, dict):
        content = content.get("value")
    if isinstance(content, str):
        sources = first(block, "citations", "annotations")
        yield {"type": "text", "content": content} | ({"citations": sources} if sources else {})
    elif content is not None:
        yield from parts(content)


def _reasoning(block: dict[str, Any]) -> Iterator[Part]:
    """Read thinking of Anthropic, LangChain, Vercel; a reasoning item of OpenAI has a list of summaries."""
    if block.get("type") == "reasoning" and isinstance(block.get("content"), str):
        yield block
        return
    for key in ("content", "thinking", "text", "reasoning", "summary", "data"):
        content = block.get(key)
        if isinstance(content, list):
            content = "\n\n".join(str(one.get("text", "")) for one in content if isinstance(one, dict))
        if isinstance(content, str) and content:
            yield {"type": "reasoning", "content": content}
            return


def _call(block: dict[str, Any]) -> Iterator[Part]:
    if block["type"] == "tool_call" and "name" in block and "arguments" in block:
        yield _known_by_call(block) | {"arguments": arguments(block["arguments"])}
        return
    function = block.get("function")
    if isinstance(function, dict):
        yield tool_call(block.get("id"), function.get("name"), function.get("arguments"))
        return
    id_ = first(block, "call_id", "id", "toolCallId", "tool_call_id")
    name, given = first(block, "name", "toolName"), first(block, "arguments", "input", "args")
    if id_ is not None or name is not None or given is not None:
        yield tool_call(id_, name, given)


def _response(block: dict[str, Any]) -> Iterator[Part]:
    if block["type"] == "tool_call_response" and "response" in block:
        yield _known_by_call(block)
        return
    id_ = first(block, "id", "tool_use_id", "call_id", "toolCallId", "tool_call_id")
    result = first(block, "response", "result", "output", "content")
    if isinstance(result, dict) and result.keys() == {"type", "value"}:
        result = result["value"]
    yield tool_response(id_, result)


def _known_by_call(block: dict[str, Any]) -> dict[str, Any]:
    """Return a part with the id of the call, where a library has that of OpenAI's item as well."""
    if not isinstance(block.get("call_id"), str):
        return block
    return {**{key: value for key, value in block.items() if key != "call_id"}, "id": block["call_id"]}


def _server_call(block: dict[str, Any]) -> Iterator[Part]:
    """Read a tool that the provider ran itself: ``web_search_call``, ``server_tool_use`` …"""
    id_, kind = block.get("id"), block["type"]
    name = block.get("name") or kind.removesuffix("_call")
    details = {key: value for key, value in block.items() if key not in ("type", "id", "name")}
    part: Part = {"type": "server_tool_call", "name": name, "server_tool_call": {"type": name, **details}}
    yield part | {"id": id_} if isinstance(id_, str) else part


def _server_response(block: dict[str, Any]) -> Part:
    """Read what such a tool gave: ``web_search_tool_result``, ``code_execution_tool_result`` …"""
    details = {key: value for key, value in block.items() if key != "tool_use_id"}
    part: Part = {"type": "server_tool_call_response", "server_tool_call_response": details}
    id_ = block.get("tool_use_id")
    return part | {"id": id_} if isinstance(id_, str) else part


def _image(block: dict[str, Any]) -> Iterator[Part]:
    modality = "audio" if "audio" in str(block["type"]) else "image"
    mime = first(block, "mime_type", "mediaType", "media_type", "mimeType")
    source = first(block, "image_url", "input_audio", "source", "image", "audio", "url", "base64", "data", "file_id")
    yield media(modality, mime, source, file=block.get("file_id"))


def _file(block: dict[str, Any]) -> Iterator[Part]:
    """Read a file; the convention's own ``file`` part has a modality and is passed on."""
    if "modality" in block:
        yield block
        return
    inner = block.get("file")
    found = inner if isinstance(inner, dict) else block
    mime = first(found, "mime_type", "mediaType", "media_type", "mimeType")
    modality = str(mime).partition("/")[0] if mime else "document"
    source = first(found, "file_data", "data", "url", "file_url", "source", "base64", "file")
    yield media(modality, mime, source, file=first(found, "file_id", "fileId"))


def _blob(block: dict[str, Any]) -> Iterator[Part]:
    """Pass the convention's own part on; a data URL within is taken apart, and absent types are left out."""
    content = block.get("content", block.get("uri"))
    if isinstance(content, str) and content.startswith(DATA_URL):
        yield media(block.get("modality") or "image", block.get("mime_type"), content)
    else:
        yield {key: value for key, value in block.items() if value is not None}


def _gemini_text(text: object, block: Mapping[str, Any]) -> Iterator[Part]:
    kind = "reasoning" if block.get("thought") is True else "text"
    yield {"type": kind, "content": text if isinstance(text, str) else dump(text)}


def _gemini_media(found: object, _block: Mapping[str, Any]) -> Iterator[Part]:
    inner = found if isinstance(found, dict) else {"data": found}
    mime = first(inner, "mimeType", "mime_type")
    source = first(inner, "data", "fileUri", "file_uri", "source", "bytes")
    yield media(str(mime or "image").partition("/")[0], mime or format_of("image", inner), source)


def _named(kind: str) -> Callable[[object, Mapping[str, Any]], Iterator[Part]]:
    """Return a reader of ``{"functionCall": {"name", "args"}}``, and of what answers it."""

    def read(found: object, _block: Mapping[str, Any]) -> Iterator[Part]:
        inner = found if isinstance(found, dict) else {}
        id_ = first(inner, "id", "toolUseId")
        if kind == "call":
            yield tool_call(id_, inner.get("name"), first(inner, "args", "input", "arguments"))
        else:
            yield tool_response(id_ or inner.get("name"), first(inner, "response", "content"))

    return read


def _bedrock_reasoning(found: object, _block: Mapping[str, Any]) -> Iterator[Part]:
    inner = found.get("reasoningText") if isinstance(found, dict) else None
    yield from _reasoning(inner if isinstance(inner, dict) else {})


_BY_TYPE: Mapping[str, Callable[[dict[str, Any]], Iterator[Part]]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "summary_text", "refusal"), _text),
    **dict.fromkeys(("reasoning", "thinking", "redacted_thinking", "reasoning_content"), _reasoning),
    **dict.fromkeys(("tool_call", "tool_use", "tool-call", "function_call", "function", "custom_tool_call"), _call),
    **dict.fromkeys(
        (
            "tool_call_response",
            "tool_result",
            "tool-result",
            "function_call_output",
            "tool_response",
            "custom_tool_call_output",
        ),
        _response,
    ),
    **dict.fromkeys(
        (
            "server_tool_use",
            "web_search_call",
            "file_search_call",
            "code_interpreter_call",
            "computer_call",
            "image_generation_call",
            "mcp_call",
            "local_shell_call",
        ),
        _server_call,
    ),
    **dict.fromkeys(("image", "image_url", "input_image", "input_audio", "audio"), _image),
    **dict.fromkeys(("file", "input_file", "document", "media"), _file),
    "blob": _blob,
    "uri": _blob,
}

_BY_KEY: Mapping[str, Callable[[object, Mapping[str, Any]], Iterator[Part]]] = {
    "text": _gemini_text,
    "functionCall": _named("call"),
    "function_call": _named("call"),
    "toolUse": _named("call"),
    "functionResponse": _named("response"),
    "function_response": _named("response"),
    "toolResult": _named("response"),
    "inlineData": _gemini_media,
    "inline_data": _gemini_media,
    "fileData": _gemini_media,
    "file_data": _gemini_media,
    "image": _gemini_media,
    "document": _gemini_media,
    "reasoningContent": _bedrock_reasoning,
}
