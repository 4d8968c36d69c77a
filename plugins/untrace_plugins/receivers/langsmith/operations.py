"""What LangSmith's SDKs send: runs that begin and end, what is attached to them, and feedback on them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from untrace_plugins.receivers.langsmith.multipart import FormPart
from untrace_plugins.runs.held import Part
from untrace_plugins.runs.ids import read_uuid
from untrace_plugins.runs.json_text import TOO_DEEP, read_json, written
from untrace_plugins.runs.times import nanoseconds

__all__ = ["ATTACHMENT", "PATCH", "POST", "Operations"]

POST, PATCH, ATTACHMENT, FEEDBACK = "post", "patch", "attachment", "feedback"
MOST_PROBLEMS = 20
"""That an answer tells."""


@dataclass(slots=True)
class _Pieces:
    """A run, or a change of one, in a form: its main part and fields of their own."""

    main: bytes = b"{}"
    fields: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Operations:
    """What one request says; what makes no sense is left out, and named."""

    tenant: str
    max_attachment_bytes: int
    parts: list[Part] = field(default_factory=list)
    feedback: list[Mapping[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    discarded: int = 0
    """Attachments whose content was left out."""

    def read_form(self, form: Iterable[FormPart]) -> None:
        """Read ``POST /runs/multipart``."""
        pieces: dict[tuple[str, str], _Pieces] = {}
        for part in form:
            kind, _, rest = part.name.partition(".")
            run, _, name = rest.partition(".")
            if read_uuid(run) is None or kind not in (POST, PATCH, ATTACHMENT, FEEDBACK):
                self._problem(part.name, "a part is called post.<uuid>, patch.<uuid>, attachment.<uuid>.<name> …")
            elif kind == ATTACHMENT:
                self._attach(run, name, part)
            elif kind == FEEDBACK:
                self._read_feedback(part)
            elif name:
                pieces.setdefault((kind, run), _Pieces()).fields[name] = part.body
            else:
                pieces.setdefault((kind, run), _Pieces()).main = part.body
        for (kind, run), found in pieces.items():
            self._join(kind, run, found)

    def _join(self, kind: str, run: str, pieces: _Pieces) -> None:
        """Make one JSON object of the parts of a form; each must be JSON by itself."""
        place = f"{kind}.{run}"
        try:
            value = read_json(pieces.main)
            for name, body in pieces.fields.items():
                place = f"{kind}.{run}.{name}"
                if isinstance(value, dict):
                    value[name] = read_json(body)
        except ValueError as error:
            self._problem(place, str(error))
            return
        self.add(kind, run, value)

    def add(self, kind: str, run: str, value: Any) -> None:
        """Add a run, or a change of one, if it makes sense."""
        where = f"{kind}.{run}"
        if not isinstance(value, dict):
            self._problem(where, "an object")
            return
        key = read_uuid(run)
        for name in ("trace_id", "parent_run_id"):
            if value.get(name) is not None and read_uuid(value[name]) is None:
                key = None
                self._problem(f"{where}.{name}", "a UUID")
        for name in ("start_time", "end_time"):
            if value.get(name) is not None and nanoseconds(value[name]) is None:
                key = None
                self._problem(f"{where}.{name}", "a time in ISO 8601, or milliseconds since 1970")
        data = written(value)
        if data is None:
            self._problem(where, TOO_DEEP)
        elif key is not None:
            part = Part(f"{self.tenant}/{key}", _mark(kind, data), kind, data, value)
            part.begins = kind == POST
            part.ends = value.get("end_time") is not None
            self.parts.append(part)

    def read_batch(self, batch: Any) -> None:
        """Read the body of ``POST /runs/batch``."""
        if not isinstance(batch, dict):
            self._problem("body", 'an object: {"post": […], "patch": […]}')
            return
        for kind in (POST, PATCH):
            runs = batch.get(kind) or []
            if not isinstance(runs, list):
                self._problem(kind, "a list of runs")
                continue
            for number, run in enumerate(runs):
                self.read_run(kind, f"{kind}[{number}]", run)

    def read_run(self, kind: str, where: str, run: Any, id: str | None = None) -> None:
        """Read a run, or a change of the run with that id."""
        found = id if id is not None else run.get("id") if isinstance(run, dict) else None
        if read_uuid(found) is None or not isinstance(run, dict):
            self._problem(f"{where}.id", "a UUID")
        else:
            self.add(kind, str(found), run)

    def _attach(self, run: str, name: str, part: FormPart) -> None:
        facts: dict[str, Any] = {"name": name, "mime_type": part.content_type, "size": len(part.body)}
        if len(part.body) <= self.max_attachment_bytes:
            facts["content"] = base64.b64encode(part.body).decode()
        else:
            self.discarded += 1
        data = orjson.dumps(facts)
        mark = _mark(f"{ATTACHMENT}.{name}", part.body)
        self.parts.append(Part(f"{self.tenant}/{read_uuid(run)}", mark, ATTACHMENT, data, facts))

    def _read_feedback(self, part: FormPart) -> None:
        try:
            self.add_feedback(part.name, read_json(part.body))
        except ValueError as error:
            self._problem(part.name, str(error))

    def add_feedback(self, where: str, given: Any) -> None:
        """Add feedback on a run, if it makes sense."""
        if not isinstance(given, dict) or not isinstance(given.get("key"), str) or not given["key"]:
            self._problem(f"{where}.key", "a name for the feedback")
        else:
            self.feedback.append(given)

    def _problem(self, where: str, expected: str) -> None:
        self.problems.append(f"{where[:200]}: {expected}")

    @property
    def complaint(self) -> str:
        """What the client is told."""
        more = len(self.problems) - MOST_PROBLEMS
        told = "; ".join(self.problems[:MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        return f"{len(self.problems)} not accepted, all others were: {told}"


def _mark(kind: str, data: bytes) -> str:
    return hashlib.blake2b(kind.encode("utf-8", "replace") + b"\0" + data, digest_size=12).hexdigest()
