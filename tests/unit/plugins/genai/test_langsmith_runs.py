"""Runs that LangSmith's SDK really sent are, as attributes, what happened: the way for a receiver of runs."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.message import Message
from typing import Any

from tests.support.captures import captures
from tests.support.llm_calls import SpanView, differences
from untrace_plugins.genai.dialects.langsmith import from_run
from untrace_plugins.genai.normalise import normalise

CAPTURE = captures()["langsmith-runs-0.14.17"]


def runs() -> dict[str, dict[str, Any]]:
    """Return every run with its parts put together: ``post.{id}``, ``post.{id}.inputs`` …, later ones over earlier."""
    found: dict[str, dict[str, Any]] = {}
    for name, body in CAPTURE.bodies.items():
        boundary = body.partition(b"\r\n")[0][2:]
        head = b"Content-Type: multipart/form-data; boundary=" + boundary + b"\r\n\r\n"
        parts: Any = message_from_bytes(head + body).get_payload() if name.endswith(".multipart") else ()
        for part in parts:
            _add(found, part)
    return found


def _add(found: dict[str, dict[str, Any]], part: Message) -> None:
    name = str(part.get_param("name", header="content-disposition"))
    operation, _, place = name.partition(".")
    if operation in ("post", "patch"):
        run, _, field = place.partition(".")
        payload: Any = part.get_payload(decode=True)
        value = json.loads(payload)
        whole = found.setdefault(run, {})
        whole |= {field: value} if field else {key: one for key, one in value.items() if one is not None}


def test_runs_are_what_happened() -> None:
    """Models, tokens, messages, ends, tools, users, tags and metadata of every call that was sent."""
    known = runs()
    wrong: dict[str, list[str]] = {}
    calls = [call for call in CAPTURE.expect["calls"] if call["records"]]
    for call in calls:
        run = known[call["records"][0]["id"]]
        attributes = from_run(run)
        changed = {**attributes, **normalise(attributes).values}
        said = {key: value for key, value in changed.items() if value is not None}
        for what in differences(call, SpanView(run["name"], said, bool(run.get("error")))):
            wrong.setdefault(what, []).append(call["case"])
    assert len(calls) > 25
    assert wrong == {}
