"""What a form can hold of a canonical span: the round trip that ``docs/genai-forms.md`` promises, as code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from untrace_plugins.genai import names
from untrace_plugins.genai.emit import emit
from untrace_plugins.genai.emit.cost import COSTS
from untrace_plugins.genai.names import JSON_ATTRIBUTES, LLM_CALLS, Form
from untrace_plugins.genai.normalise import normalise

__all__ = ["CANONICAL", "applied", "held", "reading", "there_and_back"]

Attributes: TypeAlias = dict[str, Any]

CANONICAL = {
    value for name, value in vars(names).items() if name.isupper() and isinstance(value, str) and name != "SYSTEM"
}
"""The names of all canonical attributes."""
MESSAGES = (names.INPUT_MESSAGES, names.OUTPUT_MESSAGES, names.SYSTEM_INSTRUCTIONS)


def applied(attributes: Attributes, changes: Attributes) -> Attributes:
    """Return attributes after changes."""
    return {name: value for name, value in {**attributes, **changes}.items() if value is not None}


def there_and_back(form: Form, canonical: Attributes, start: int, end: int) -> Attributes:
    """Return what becomes of a canonical span that goes out in a form and is read again."""
    out = applied(canonical, emit(form, canonical, start, end))
    return applied(out, normalise(out, start=start).values)


def reading(attributes: Attributes) -> Attributes:
    """Return the canonical attributes of a span as their meaning: JSON parsed, and one place for each thing.

    Instructions are the first messages, every result of a tool is a message of its own, calls of tools come last in
    theirs, and reasons for an end are those of the span.
    """
    found = {name: attributes[name] for name in CANONICAL & attributes.keys() if name != names.DIALECT}
    for name in JSON_ATTRIBUTES & found.keys():
        found[name] = _parsed(found[name])
    instructions = found.pop(names.SYSTEM_INSTRUCTIONS, None)
    if instructions is not None:
        found[names.INPUT_MESSAGES] = [{"role": "system", "parts": instructions}, *found.get(names.INPUT_MESSAGES, ())]
    reasons = [one.get("finish_reason") for one in found.get(names.OUTPUT_MESSAGES, ())]
    if any(reasons):
        found.setdefault(names.RESPONSE_FINISH_REASONS, [reason for reason in reasons if reason])
    for name in MESSAGES:
        if name in found:
            found[name] = [one for message in found[name] for one in _split(message)]
    return found


def _split(message: Attributes) -> Iterator[Attributes]:
    parts = [{key: _parsed(value) if key in PARSED else value for key, value in p.items()} for p in message["parts"]]
    name = {"name": message["name"]} if message.get("name") else {}
    for part in parts:
        if part["type"] == "tool_call_response":
            yield {"role": "tool", "parts": [part]}
    calls = [part for part in parts if part["type"] == "tool_call"]
    others = [part for part in parts if part["type"] not in {"tool_call", "tool_call_response"} and not _empty(part)]
    if calls or others or not parts:
        yield {"role": message["role"], "parts": [*others, *calls], **name}


def _empty(part: Attributes) -> bool:
    return part.get("type") == "text" and not part["content"]


WORDS = {"session_id": names.SESSION_ID, "user_id": names.USER_ID, "thread_id": names.CONVERSATION_ID}
PARSED = {"arguments", "response"}


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


# ------------------------------------------------------------ what forms lose


def held(form: Form, canonical: Attributes) -> Attributes:
    """Return the reading of a span as it comes back from a form: the list of what the form cannot hold."""
    found = reading(canonical)
    if form is Form.AS_IS:
        return found
    if (
        form in {Form.GENAI, Form.GENAI_LEGACY}
        and names.SESSION_ID in found
        and {names.OPERATION, names.SPAN_KIND} & found.keys()
    ):
        found.setdefault(names.CONVERSATION_ID, found[names.SESSION_ID])
    if form is Form.GENAI:
        return found
    if found.get(names.DUPLICATE) is True:
        found = {name: value for name, value in found.items() if name not in {*names.USAGE, *COSTS}}
    loss = _LOSSES.get(form)
    return found if loss is None else loss(found)


def _legacy(found: Attributes) -> Attributes:
    """Nested metadata is text; what LangSmith calls an ``llm`` is a chat, and what it knows nothing of a chain."""
    _flatten_metadata(found)
    if found.get(names.OPERATION) in {"generate_content", "text_completion"}:
        found[names.OPERATION] = "chat"
    if names.OPERATION not in found and {names.INPUT, names.OUTPUT} & found.keys():
        found.setdefault(names.SPAN_KIND, "chain")
    return found


def _openllmetry(found: Attributes) -> Attributes:
    """Nested metadata is text; the envelope of a Python call is taken off the arguments."""
    _flatten_metadata(found)
    arguments = found.get(names.TOOL_CALL_ARGUMENTS)
    if isinstance(arguments, dict) and arguments.keys() == {"args", "kwargs"} and not arguments["args"]:
        found[names.TOOL_CALL_ARGUMENTS] = arguments["kwargs"]
    return found


def _openinference(found: Attributes) -> Attributes:
    """A session is a conversation; a model that is named once both asked and answered; agents have a preview."""
    for name, other in ((names.SESSION_ID, names.CONVERSATION_ID), (names.CONVERSATION_ID, names.SESSION_ID)):
        if name in found:
            found.setdefault(other, found[name])
    if found.get(names.OPERATION) in LLM_CALLS:
        answered = any(message["parts"] for message in found.get(names.OUTPUT_MESSAGES, ()))
        if names.REQUEST_MODEL in found and (answered or names.USAGE_INPUT in found):
            found.setdefault(names.RESPONSE_MODEL, found[names.REQUEST_MODEL])
        return found
    sent = found.get(names.INPUT_MESSAGES, [])
    users = [message for message in sent if message["role"] == "user"]
    asked = [_first_text(message) for message in [*reversed(users), *(m for m in reversed(sent) if m not in users)]]
    said = [_first_text(message) for message in found.get(names.OUTPUT_MESSAGES, ())] + [_called(found)]
    for name, texts in ((names.INPUT, asked), (names.OUTPUT, said)):
        if any(texts):
            found.setdefault(name, next(filter(None, texts)))
    return found


def _called(found: Attributes) -> str | None:
    parts = [part for message in found.get(names.OUTPUT_MESSAGES, ()) for part in message["parts"]]
    calls = [{key: part.get(key) for key in ("name", "arguments")} for part in parts if part["type"] == "tool_call"]
    return json.dumps(calls, ensure_ascii=False, separators=(",", ":")) if calls else None


def _langfuse(found: Attributes) -> Attributes:
    """Nulls in metadata are gone."""
    _take_words(found)
    return found


def _posthog(found: Attributes) -> Attributes:
    """Every call to a model is a chat, and a kind of ours an operation, so that the server sees both."""
    if found.get(names.OPERATION) in {"generate_content", "text_completion"}:
        found[names.OPERATION] = "chat"
    elif names.SPAN_KIND in found:
        found.setdefault(names.OPERATION, found[names.SPAN_KIND])
    return found


def _flatten_metadata(found: Attributes) -> None:
    _take_words(found)
    for key, value in found.get(names.METADATA, {}).items():
        if isinstance(value, dict | list):
            found[names.METADATA][key] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _take_words(found: Attributes) -> None:
    """Take session and user out of the metadata: under a common prefix they cannot be told apart; nulls go too."""
    metadata = found.get(names.METADATA)
    if not isinstance(metadata, dict):
        return
    kept = {key: value for key, value in metadata.items() if value is not None and key not in WORDS}
    found |= {WORDS[key]: found.get(WORDS[key], metadata[key]) for key in WORDS.keys() & metadata.keys()}
    found[names.METADATA] = kept


def _first_text(message: Attributes) -> str | None:
    return next((part["content"] for part in message["parts"] if part["type"] == "text"), None)


_LOSSES: dict[Form, Callable[[Attributes], Attributes]] = {
    Form.GENAI_LEGACY: _legacy,
    Form.OPENLLMETRY: _openllmetry,
    Form.OPENINFERENCE: _openinference,
    Form.LANGFUSE: _langfuse,
    Form.POSTHOG: _posthog,
}
