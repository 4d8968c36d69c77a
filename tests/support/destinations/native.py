"""Platforms with an API of their own: what they check, and a span for each record that they keep.

Sources: Helicone's worker (``validateAsyncLogModel``, ``logAsync``), LangSmith's SDK (parts of a form, dotted order),
Datadog's tracer (``LLMObsSpanEvent``, its limits).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from tests.support.destinations.server import Judgement
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans

__all__ = ["datadog", "form_of", "helicone", "kept", "langsmith", "records"]

RECORD = "record"
HTTP_ERROR = 400
MOST_HELICONE = 10 * 2**20
MOST_DATADOG = 5_000_000
KINDS = {"agent", "workflow", "llm", "tool", "task", "embedding", "retrieval"}


def records(batches: Iterable[Batch]) -> list[dict[str, Any]]:
    """Return what a platform kept, in order."""
    columns = (batch.column(Field(Level.ITEM, ATTRIBUTES)) for batch in batches)
    return [json.loads(one[RECORD]) for column in columns for one in column]  # type: ignore[arg-type,call-overload,index]


def kept(found: Iterable[tuple[str, bool, Mapping[str, Any]]]) -> Batch:
    """Return a span for each record, of the given id: its attributes are the record, and every path into it."""
    spans = [
        NewSpan(
            b"\1" * 16,
            bytes.fromhex(span_id),
            "record",
            1,
            2,
            attributes={RECORD: json.dumps(record), **dict(_flat("", record))},
            status_code=2 if failed else 0,
        )
        for span_id, failed, record in found
    ]
    return Batch(Signal.TRACES, compose_spans({}, Scope("record"), spans))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Value]]:
    """Yield every path into JSON, with what is there: numbers and texts as they are, all else as JSON."""
    if path:
        yield path, value if isinstance(value, str | int | float) else json.dumps(value)
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        name, colon, rest = one.partition(":") if path == "tags" and isinstance(one, str) else (key, "", one)
        yield from _flat(f"{path}.{name}" if path else str(name), rest if colon else one)


# ------------------------------------------------------------------- Helicone


def helicone(path: str, headers: Mapping[str, str], data: bytes) -> Batch | Judgement:
    """Keep a call, or say what is wrong with it."""
    if len(data) > MOST_HELICONE:
        return Judgement(400, b"Payload too large", "text/plain")
    log = json.loads(data)
    request, response, timing = (log.get(name) for name in ("providerRequest", "providerResponse", "timing"))
    problems = [
        *([] if request and response and timing else ["one of the required fields is missing"]),
        *_wrong(request or {}, {"url": str, "meta": dict, "json": dict}),
        *_wrong(response or {}, {"status": int, "headers": dict, "json": dict}),
        *_wrong((timing or {}).get("startTime") or {}, {"seconds": int, "milliseconds": int}),
        *_wrong((timing or {}).get("endTime") or {}, {"seconds": int, "milliseconds": int}),
    ]
    if problems:
        return Judgement(400, json.dumps({"error": problems}).encode())
    for name, value in request["meta"].items():  # makes headers of them, which throws
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not name.isascii():
            return Judgement(500, b"TypeError: invalid header")
    if not request["json"].get("model"):
        return Judgement(400, b'{"error":"no model"}')
    if request["json"].get("stream") and "streamed_data" not in response["json"]:
        return Judgement(400, b'{"error":"a stream without its chunks is not understood"}')
    own = request["meta"]["Helicone-Request-Id"].replace("-", "")[16:]
    return kept([(own, response["status"] >= HTTP_ERROR, {**log, "path": path})])


def _wrong(found: Mapping[str, Any], types: Mapping[str, type]) -> list[str]:
    return [name for name, kind in types.items() if not isinstance(found.get(name), kind)]


# ------------------------------------------------------------------ LangSmith


def form_of(content_type: str, data: bytes) -> Iterator[tuple[str, Any]]:
    """Yield name and JSON of each part of a form, as Python's own parser of mails reads it."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + data)
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        assert part.get_content_type() == "application/json"
        assert int(part["Content-Length"]) == len(content)
        yield str(part.get_param("name", header="Content-Disposition")), json.loads(content)


def langsmith(_path: str, headers: Mapping[str, str], data: bytes) -> Batch | Judgement:
    """Keep runs, put together from their parts, or say what is wrong with them."""
    runs: dict[str, dict[str, Any]] = {}
    for name, value in form_of(headers["content-type"], data):
        kind, run, *field = name.split(".")
        if kind != "post" or len(field) > 1:
            return Judgement(422, json.dumps({"detail": f"part {name}"}).encode())
        if field:
            runs[run][field[0]] = value
        else:
            runs[run] = dict(value)
    problems = [f"{id_}: {problem}" for id_, run in runs.items() for problem in _run_problems(id_, run)]
    return Judgement(422, json.dumps({"detail": problems}).encode()) if problems else kept(map(_run, runs.values()))


def _run(run: Mapping[str, Any]) -> tuple[str, bool, Mapping[str, Any]]:
    """Return a run with the id of its span: LangSmith's of a root is that of the trace."""
    return run["extra"]["metadata"]["OTEL_SPAN_ID"], bool(run.get("error")), run


def _run_problems(id_: str, run: Mapping[str, Any]) -> Iterator[str]:
    steps = [(one[:22], one[22:]) for one in run["dotted_order"].split(".")]
    times = [datetime.strptime(moment, "%Y%m%dT%H%M%S%fZ") for moment, _ in steps]
    ids = [str(uuid.UUID(one)) for _, one in steps]
    if ids[-1] != id_ or run["id"] != id_:
        yield "the last of dotted_order is another run"
    if ids[0] != run["trace_id"]:
        yield "the first of dotted_order is another trace"
    if (ids[-2] if len(ids) > 1 else None) != run.get("parent_run_id"):
        yield "the last but one of dotted_order is another parent"
    if times[-1] != datetime.fromisoformat(run["start_time"]).replace(tzinfo=None):
        yield "dotted_order says another start"
    if len(set(ids)) != len(ids):
        yield "a run above itself"
    if not run.get("name") or run.get("run_type") not in {"llm", "chain", "tool", "retriever", "embedding", "prompt"}:
        yield "no name, or no type"
    if not isinstance(run.get("inputs"), dict) or not isinstance(run.get("outputs") or {}, dict):
        yield "inputs and outputs are objects"


# -------------------------------------------------------------------- Datadog


def datadog(_path: str, headers: Mapping[str, str], data: bytes) -> Batch | Judgement:
    """Keep events, or say what is wrong with them."""
    if len(data) > MOST_DATADOG:
        return Judgement(413)
    events = []
    for envelope in json.loads(data):
        if (envelope["_dd.stage"], envelope["event_type"]) != ("raw", "span"):
            return Judgement(400, b"no raw span")
        events += envelope["spans"]
    problems = [problem for event in events for problem in _event_problems(event)]
    return Judgement(400, json.dumps({"errors": problems}).encode()) if problems else kept(map(_event, events))


def _event(event: Mapping[str, Any]) -> tuple[str, bool, Mapping[str, Any]]:
    return f"{int(event['span_id']):016x}", event["status"] == "error", event


def _event_problems(event: Mapping[str, Any]) -> Iterator[str]:
    types = {"span_id": str, "trace_id": str, "parent_id": str, "name": str, "start_ns": int, "duration": int}
    yield from _wrong(event, {**types, "tags": list, "meta": dict, "metrics": dict, "status": str})
    if not event["span_id"].isdecimal() or not (event["parent_id"] == "undefined" or event["parent_id"].isdecimal()):
        yield "ids of spans are decimal"
    meta = event["meta"]
    if meta["span"]["kind"] not in KINDS or event["status"] not in {"ok", "error"}:
        yield "no such kind, or status"
    if not any(tag.startswith("ml_app:") and tag != "ml_app:" for tag in event["tags"]):
        yield "no ml_app"
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in event["metrics"].values()):
        yield "metrics are numbers"
    for side in ("input", "output"):
        for message in meta.get(side, {}).get("messages", ()):
            if not isinstance(message.get("content"), str) or not isinstance(message.get("role"), str):
                yield "messages have a role, and a text"
