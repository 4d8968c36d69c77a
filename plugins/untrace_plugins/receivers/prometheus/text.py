"""The text formats: Prometheus 0.0.4 and OpenMetrics 1.0, line by line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["LATEST_SECONDS", "Exemplar", "Line", "Metadata", "TextError", "read_labels", "read_text"]

_SERIES = r'((?:[a-zA-Z_:][a-zA-Z0-9_:]*)?(?:[ \t]*\{(?>[^"}]+|"(?>[^"\\]+|\\.)*")*+\})?)'
_SAMPLE = re.compile(_SERIES + r"[ \t]*+(?<=[ \t}])([^\s{]+)(?:[ \t]+(-?[0-9.eE+-]+))?[ \t]*(?:# *(\{.*))?\Z")
_EXEMPLAR = re.compile(r'\{((?>[^"}]+|"(?>[^"\\]+|\\.)*")*+)\}[ \t]+([^\s]+)(?:[ \t]+([0-9.eE+-]+))?[ \t]*\Z')
_LABEL = re.compile(
    r'[ \t]*(?:([a-zA-Z_][a-zA-Z0-9_]*)|"((?>[^"\\]+|\\.)*)")[ \t]*(?:=[ \t]*"((?>[^"\\]+|\\.)*)")?[ \t]*(?:(,)|\Z)'
)
_META = re.compile(
    r'#[ \t]+(HELP|TYPE|UNIT)[ \t]+(?:([a-zA-Z_:][a-zA-Z0-9_:]*)|"((?>[^"\\]+|\\.)*)")(?:[ \t]+(.*))?\Z', re.DOTALL
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}
_NUMBER = re.compile(r"[+-]?(?:[0-9.]+(?:[eE][+-]?[0-9]+)?|0[xX][0-9a-fA-F]+)\Z")
_WORDS = {"nan": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf, "infinity": math.inf}
_TYPES = frozenset(
    {"counter", "gauge", "histogram", "summary", "untyped", "unknown", "info", "stateset", "gaugehistogram"}
)

PIECE_CHARACTERS = 64 * 1024
"""Of a text, that are divided into lines at once."""
LATEST_SECONDS = (1 << 63) // 10**9
"""Of timestamps: nanoseconds go no further."""


class TextError(ValueError):
    """The text is not in the format; says in which line, and never what it says."""


class Exemplar(NamedTuple):
    """An observation that stands for others."""

    labels: dict[str, str]
    value: float
    timestamp: float | None
    """Seconds since 1970."""


class Line(NamedTuple):
    """A sample."""

    series: str
    """Name and labels, as they are written; the same in every scrape, so that it need not be read again."""
    value: float
    timestamp: float | None
    """Milliseconds since 1970."""
    exemplar: Exemplar | None


@dataclass(slots=True)
class Metadata:
    """What the text says of a family of metrics."""

    type: str = "unknown"
    help: str = ""
    unit: str = ""


def read_text(text: str, metadata: dict[str, Metadata], *, openmetrics: bool) -> Iterator[Line]:
    """Yield the samples, and add to ``metadata`` by the name of the family. Raises :class:`TextError`."""
    ended = False
    for number, line in enumerate(_lines(text), 1):
        if ended and line:
            raise TextError(f"line {number}: something after # EOF")
        if line[:1] == "#":
            ended = openmetrics and line == "# EOF"
            _read_metadata(line, metadata, number)
            continue
        if not line or line.isspace():
            continue
        yield _read_sample(line, number, openmetrics=openmetrics)
    if openmetrics and not ended:
        raise TextError("the text ends without # EOF: it was cut off")


def _lines(text: str) -> Iterator[str]:
    """Yield the lines, a piece of the text at a time: whoever runs beside us is not held up, and memory stays small."""
    start = 0
    while (end := text.find("\n", start + PIECE_CHARACTERS)) >= 0:
        yield from text[start:end].split("\n")
        start = end + 1
    yield from text[start:].split("\n")


def _read_metadata(line: str, metadata: dict[str, Metadata], number: int) -> None:
    found = _META.match(line.rstrip("\r"))
    if found is None:
        return
    word, name, quoted, rest = found.groups()
    about = metadata.setdefault(name if name is not None else _unescape(quoted), Metadata())
    if word == "TYPE":
        kind = (rest or "").strip().lower()
        if kind not in _TYPES:
            raise TextError(f"line {number}: no type of metrics")
        about.type = "unknown" if kind == "untyped" else kind
    elif word == "HELP":
        about.help = _unescape(rest or "")
    else:
        about.unit = (rest or "").strip()


def _read_sample(line: str, number: int, *, openmetrics: bool) -> Line:
    found = _SAMPLE.match(line.strip())
    if found is None or not found[1]:
        raise TextError(f"line {number}: no sample: name{{labels}} value [timestamp]")
    series, written, moment, rest = found.groups()
    value = _number(written, number)
    timestamp = None
    if moment is not None:
        units = 1 if openmetrics else 1000
        timestamp = _timestamp(moment, number, units) * (1000 // units)
    exemplar = None
    if rest is not None:
        if not openmetrics:
            raise TextError(f"line {number}: an exemplar, which only OpenMetrics has")
        exemplar = _read_exemplar(rest, number)
    return Line(series, value, timestamp, exemplar)


def _timestamp(text: str, number: int, units: int) -> float:
    """Return a moment that OTLP can tell; ``units`` is how many there are in a second."""
    moment = _number(text, number)
    if not 0 <= moment < LATEST_SECONDS * units:
        raise TextError(f"line {number}: a timestamp that is none")
    return moment


def _number(text: str, number: int) -> float:
    if _NUMBER.match(text):
        try:
            return float.fromhex(text) if text[:3].lower().find("0x") >= 0 else float(text)
        except (ValueError, OverflowError):
            pass
    value = _WORDS.get(text.lower())
    if value is None:
        raise TextError(f"line {number}: no number")
    return value


def _read_exemplar(rest: str, number: int) -> Exemplar:
    found = _EXEMPLAR.match(rest)
    if found is None:
        raise TextError(f"line {number}: no exemplar: {{labels}} value [timestamp]")
    timestamp = _timestamp(found[3], number, 1) if found[3] is not None else None
    labels = dict(_pairs(found[1], f"line {number}"))
    return Exemplar(labels, _number(found[2], number), timestamp)


def read_labels(series: str) -> dict[str, str]:
    """Return the labels of a series, ``__name__`` among them. Raises :class:`TextError`."""
    name, brace, rest = series.partition("{")
    labels: dict[str, str] = {}
    if name.strip():
        labels["__name__"] = name.strip()
    if brace:
        for key, value in _pairs(rest.rstrip()[:-1], "a series"):
            if key in labels:
                raise TextError("a series has a label twice")
            labels[key] = value
    if "__name__" not in labels:
        raise TextError("a series has no name")
    return labels


def _pairs(text: str, where: str) -> Iterator[tuple[str, str]]:
    """Yield names and values of labels; a quoted name alone is the name of the metric."""
    place = 0
    end = len(text.rstrip())
    while place < end:
        found = _LABEL.match(text, place, end)
        if found is None:
            raise TextError(f"{where}: labels that are none")
        name, quoted, value, _ = found.groups()
        if value is not None:
            yield (name if name is not None else _unescape(quoted)), _unescape(value)
        elif quoted is not None:
            yield "__name__", _unescape(quoted)
        else:
            raise TextError(f"{where}: a label without a value")
        place = found.end()


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda one: _ESCAPED.get(one[1], one[0]), text) if "\\" in text else text
