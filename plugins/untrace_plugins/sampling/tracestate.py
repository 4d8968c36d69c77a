"""W3C tracestate with OpenTelemetry's entry ``ot=rv:…;th:…``: read strictly, written back in canonical order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from untrace_plugins.sampling.thresholds import (
    parse_randomness,
    parse_threshold,
    randomness_text,
    threshold_text,
)

__all__ = ["Marks", "TraceState", "parse_trace_state", "threshold_in"]

_MAX_LENGTH = 1024
_MAX_MEMBERS = 32
_MAX_OTEL_LENGTH = 256
_MAX_KEY, _MAX_TENANT, _MAX_SYSTEM = 256, 241, 14

_KEY = re.compile(r"(?:[a-z][a-z0-9_*/-]*|[a-z0-9][a-z0-9_*/-]*@[a-z][a-z0-9_*/-]*)\Z")
_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]\Z")
_OTEL = re.compile(r"[a-z][a-z0-9]*:[A-Za-z0-9._-]*(?:;[a-z][a-z0-9]*:[A-Za-z0-9._-]*)*\Z")


@dataclass(slots=True)
class Marks:
    """Sampling information that an item carries. The texts are kept as they arrived until something changes."""

    randomness: int | None = None
    threshold: int | None = None
    randomness_text: str = ""
    threshold_text: str = ""

    def read_randomness(self, text: str) -> bool:
        """Take over explicit randomness; returns whether it is valid."""
        self.randomness = parse_randomness(text)
        self.randomness_text = "" if self.randomness is None else text
        return self.randomness is not None

    def read_threshold(self, text: str) -> bool:
        """Take over a threshold; returns whether it is valid."""
        self.threshold = parse_threshold(text)
        self.threshold_text = "" if self.threshold is None else text
        return self.threshold is not None

    def set_randomness(self, randomness: int) -> None:
        """Set explicit randomness."""
        self.randomness, self.randomness_text = randomness, randomness_text(randomness)

    def raise_threshold(self, threshold: int) -> None:
        """Set the threshold, unless one that is higher is there: a share that was lost does not come back."""
        if self.threshold is None or self.threshold <= threshold:
            self.threshold, self.threshold_text = threshold, threshold_text(threshold)

    def clear_threshold(self) -> None:
        """Forget the threshold."""
        self.threshold, self.threshold_text = None, ""


@dataclass(slots=True)
class TraceState(Marks):
    """A tracestate header: the marks, and everything else in order."""

    otel: list[str] = field(default_factory=list)
    """Other members of the ``ot`` entry, ``key:value``."""
    others: list[str] = field(default_factory=list)
    """Entries of other vendors, ``key=value``."""

    def __str__(self) -> str:
        members = [f"rv:{self.randomness_text}"] if self.randomness_text else []
        if self.threshold_text:
            members.append(f"th:{self.threshold_text}")
        members += self.otel
        return ",".join([f"ot={';'.join(members)}", *self.others] if members else self.others)


def parse_trace_state(text: str) -> tuple[TraceState, bool]:
    """Return what a header says, and whether all of it is valid; what came before an error is kept."""
    state = TraceState()
    if len(text) > _MAX_LENGTH:
        return state, False
    members = [member.strip(" \t") for member in text.removesuffix(",").split(",")]
    for member in members:
        key, equals, value = member.partition("=")
        if member and not (equals and _KEY.match(key) and _VALUE.match(value)):
            return state, False
    valid = len(members) < _MAX_MEMBERS
    for member in filter(None, members[: _MAX_MEMBERS - 1]):
        key, _, value = member.partition("=")
        valid = _read_member(state, key, value, member) and valid
    return state, valid


def threshold_in(text: str) -> int | None:
    """Return the threshold that a valid header tells of, ``None`` where there is none."""
    if "ot=" not in text:
        return None
    state, valid = parse_trace_state(text)
    return state.threshold if valid else None


def _read_member(state: TraceState, key: str, value: str, member: str) -> bool:
    tenant, at, system = key.partition("@")
    if len(key) > _MAX_KEY or (at and (len(tenant) > _MAX_TENANT or len(system) > _MAX_SYSTEM)):
        return False
    if key != "ot":
        state.others.append(member)
        return True
    state.randomness, state.randomness_text = None, ""
    state.clear_threshold()
    state.otel = []
    return _read_otel(state, value)


def _read_otel(state: TraceState, value: str) -> bool:
    if len(value) > _MAX_OTEL_LENGTH or not _OTEL.match(value):
        return False
    valid = True
    for member in value.split(";"):
        key, _, text = member.partition(":")
        if key == "rv":
            valid = state.read_randomness(text) and valid
        elif key == "th":
            valid = state.read_threshold(text) and valid
        else:
            state.otel.append(member)
    return valid
