"""Events of ``POST /api/public/ingestion``: traces and observations that begin and change, and scores."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from untrace_plugins.runs.held import Part
from untrace_plugins.runs.json_text import TOO_DEEP, written
from untrace_plugins.runs.times import nanoseconds

__all__ = ["CREATE", "TRACE", "UPDATE", "Events", "Whereabouts"]

TRACE, CREATE, UPDATE = "trace", "create", "update"
SCORE = "score"
KINDS = frozenset(
    {
        *("span", "generation", "event", "observation"),
        *("agent", "tool", "chain", "retriever", "evaluator", "embedding", "guardrail"),
    }
)
"""Types of observations, as the first word of an event's type."""
_TIMES = ("startTime", "endTime", "completionStartTime", "timestamp")
MOST_OBSERVATIONS = 100_000
LONGEST_ID = 1000
"""In characters; ids are remembered."""


class Whereabouts:
    """Remembers the trace of observations, for changes that do not name it."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()

    def trace_of(self, tenant: str, observation: str, given: Any) -> str:
        """Return the trace that is named; else the one that was; else the observation is a trace of its own."""
        key = f"{tenant}/{observation}"
        if given:
            self._known[key] = str(given)
            if len(self._known) > MOST_OBSERVATIONS:
                self._known.popitem(last=False)
            return str(given)
        return self._known.get(key, observation)


@dataclass(slots=True)
class Events:
    """What one request says: each event is taken, or refused with a reason."""

    tenant: str
    whereabouts: Whereabouts
    parts: list[Part] = field(default_factory=list)
    scores: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    """With the ids of their events."""
    taken: list[str] = field(default_factory=list)
    """Ids of events that make sense."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Ids of those that do not, and why."""

    def read(self, event: Any) -> None:
        """Read one event."""
        if (
            not isinstance(event, dict)
            or not isinstance(event.get("id"), str)
            or not 0 < len(event["id"]) <= LONGEST_ID
        ):
            self.refused.append(("", f"id: a text that is the event's own, of at most {LONGEST_ID} characters"))
            return
        problem = self._read(event["id"], event)
        if problem:
            self.refused.append((event["id"], problem))
        else:
            self.taken.append(event["id"])

    def _read(self, id: str, event: Mapping[str, Any]) -> str:
        """Take an event, or return what is wrong with it."""
        kind, body = event.get("type"), event.get("body")
        word, _, verb = kind.rpartition("-") if isinstance(kind, str) else ("", "", "")
        if not isinstance(body, dict):
            return "body: an object"
        if kind == "score-create":
            return self._score(id, body)
        if kind == "sdk-log":
            self.scores.append((id, {"log": body.get("log")}))
            return ""
        if word not in (KINDS | {TRACE}) or verb not in (CREATE, UPDATE):
            return f"type: one of trace-create, {', '.join(sorted(f'{one}-create' for one in KINDS))}, score-create …"
        for name in _TIMES:
            if body.get(name) is not None and nanoseconds(body[name]) is None:
                return f"body.{name}: a time in ISO 8601"
        if "name" in body and not isinstance(body["name"], (str, type(None))):
            return "body.name: a text"
        return self._add(id, word, verb, event)

    def _score(self, id: str, body: Mapping[str, Any]) -> str:
        if not isinstance(body.get("name"), str) or not body["name"]:
            return "body.name: a text"
        if not isinstance(body.get("value"), (str, int, float)):
            return "body.value: a number or a text"
        self.scores.append((id, body))
        return ""

    def _add(self, id: str, word: str, verb: str, event: Mapping[str, Any]) -> str:
        body = event["body"]
        for name in ("id", "traceId"):
            if len(str(body.get(name))) > LONGEST_ID:
                return f"body.{name}: at most {LONGEST_ID} characters"
        own = str(body.get("id") or id)
        if word == TRACE:
            trace, about = own, ""
        else:
            trace, about = self.whereabouts.trace_of(self.tenant, own, body.get("traceId")), own
        value = {"word": word, "timestamp": event.get("timestamp"), "body": body}
        data = written(value)
        if data is None:
            return f"body: {TOO_DEEP}"
        part = Part(f"{self.tenant}/{trace}", id, verb, data, value, about)
        part.begins = verb == CREATE
        part.ends = word == "event" or body.get("endTime") is not None
        self.parts.append(part)
        return ""
