"""Functions of OTTL about times and durations, which are whole nanoseconds here; calendars are in UTC."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from untrace_pipeline.conditions.converters import as_text, nanoseconds
from untrace_pipeline.conditions.expression import Expression, Kind, apply
from untrace_pipeline.conditions.function import Function, fixed, of_kinds, simple
from untrace_pipeline.conditions.paths import Scope
from untrace_pipeline.conditions.values import wrap_int64
from untrace_pipeline.errors import ConditionError, EvaluationError

__all__ = ["TIMES"]

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: tuple[str, ...] = ("January", "February", "March", "April", "May", "June", "July", "August")
_MONTHS += ("September", "October", "November", "December")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FRACTIONS = {"L": 3, "f": 6, "s": 9}
_DIRECTIVE = re.compile(r"%(.)", re.DOTALL)
_COMPOSED = {
    "D": "%m/%d/%Y",
    "x": "%m/%d/%Y",
    "F": "%Y-%m-%d",
    "T": "%H:%M:%S",
    "X": "%H:%M:%S",
    "r": "%I:%M:%S %P",
    "R": "%H:%M",
    "c": "%a %b %d %H:%M:%S %Y",
}
_ZONE = r"(?P<offset>[+-]\d\d(?::?\d\d)?(?::?\d\d)?|Z)"


def _names(group: str, names: tuple[str, ...], length: int | None = None) -> str:
    return f"(?P<{group}>{'|'.join(name[:length] for name in names)})"


# What each directive reads; numbers may have blanks instead of zeros in front.
_READS = {
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<short_year>\d\d)",
    **dict.fromkeys("moq", r"\s*(?P<month>\d{1,2})"),
    **dict.fromkeys("bh", _names("month_name", _MONTHS, 3)),
    "B": _names("month_name", _MONTHS),
    **dict.fromkeys("deg", r"\s*(?P<day>\d{1,2})"),
    "a": f"(?:{'|'.join(name[:3] for name in _WEEKDAYS)})",
    "A": f"(?:{'|'.join(_WEEKDAYS)})",
    "H": r"\s*(?P<hour>\d{1,2})",
    **dict.fromkeys("Il", r"\s*(?P<half_hour>\d{1,2})"),
    **dict.fromkeys("pP", r"(?P<half>AM|PM|am|pm)"),
    "M": r"\s*(?P<minute>\d{1,2})",
    "S": r"\s*(?P<second>\d{1,2})(?:[.,](?P<hidden>\d{1,9}))?",
    **dict.fromkeys("Lfs", r"(?P<fraction>\d{1,9})"),
    **dict.fromkeys("zwijk", _ZONE),
    "Z": r"(?P<zone>[A-Z]{3,5}|[+-]\d\d)",
    "n": r"\n",
    "t": r"\t",
    "%": "%",
}


def _checked(format: str) -> str:
    """Return a format with composed directives resolved. Raises :class:`ConditionError` for what is none."""
    if not format or re.search(r"\d", format):
        msg = "a format consists of directives such as %Y-%m-%d, without digits"
        raise ConditionError(msg)
    unknown = [
        f"%{letter}" for letter in _DIRECTIVE.findall(format) if letter not in _READS and letter not in _COMPOSED
    ]
    if unknown:
        msg = f"{', '.join(unknown)} is no directive of times"
        raise ConditionError(msg)
    if re.search(r"(?<![.,])%[Lfs]", format):
        msg = "fractions of a second (%L, %f, %s) follow a . or ,"
        raise ConditionError(msg)
    return _DIRECTIVE.sub(lambda found: _COMPOSED.get(found[1], found[0]), format)


# -------------------------------------------------------------------- reading


@lru_cache(maxsize=64)
def _reader(format: str) -> re.Pattern[str]:
    """Return a pattern for a format; everything in it is bounded, so that it costs no more than the text is long."""
    resolved = _checked(format)
    parts, end, seen = [], 0, set[str]()
    for found in _DIRECTIVE.finditer(resolved):
        parts.append(re.escape(resolved[end : found.start()]))
        reads = _READS[found[1]]
        if found[1] == "S" and re.match(r"[.,]%", resolved[found.end() :]):
            reads = r"\s*(?P<second>\d{1,2})"
        parts.append(reads if reads not in seen else re.sub(r"\?P<\w+>", "?:", reads))
        seen.add(reads)
        end = found.end()
    parts.append(re.escape(resolved[end:]))
    return re.compile("".join(parts))


def _location(name: str, format: str) -> tzinfo:
    if not name:
        return UTC if format.endswith("Z") else datetime.now().astimezone().tzinfo or UTC
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        msg = f"{name!r} is no known time zone"
        raise ConditionError(msg) from None


def _read_time(text: Any, format: str, location: tzinfo) -> int:
    """Return the time that a text says in a format."""
    match = _reader(format).fullmatch(as_text(text))
    if match is None:
        msg = "the text is no time in this format"
        raise EvaluationError(msg)
    found = {name: value for name, value in match.groupdict().items() if value is not None}
    try:
        moment = datetime(*_date(found), *_clock(found), tzinfo=_zone(found, location))
    except (ValueError, OverflowError):
        msg = "there is no such date or time"
        raise EvaluationError(msg) from None
    return _nanos(moment) + int((found.get("fraction") or found.get("hidden") or "0").ljust(9, "0"))


def _nanos(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1) * _SECOND


def _date(found: Mapping[str, str]) -> tuple[int, int, int]:
    if "short_year" in found:
        short = int(found["short_year"])
        year = short + (1900 if short >= 69 else 2000)  # noqa: PLR2004  Go's turn of the century
    else:
        year = int(found.get("year", datetime.now(UTC).year))
    if "month_name" in found:
        month = next(number for number, name in enumerate(_MONTHS, 1) if name.startswith(found["month_name"]))
    else:
        month = int(found.get("month", 1))
    return year, month, int(found.get("day", 1))


def _clock(found: Mapping[str, str]) -> tuple[int, int, int]:
    hour = int(found.get("hour") or found.get("half_hour") or 0)
    if "half" in found:
        hour = hour % 12 + (12 if found["half"].lower() == "pm" else 0)
    return hour, int(found.get("minute", 0)), int(found.get("second", 0))


def _zone(found: Mapping[str, str], location: tzinfo) -> tzinfo:
    text = found.get("offset") or found.get("zone") or ""
    if not text:
        return location
    if text[0] in "+-":
        digits = text[1:].replace(":", "").ljust(6, "0")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))
        return timezone(-offset if text[0] == "-" else offset)
    try:
        return UTC if text in {"Z", "UTC", "GMT"} else ZoneInfo(text)
    except (LookupError, OSError, ValueError):
        msg = "this time zone is not known by its abbreviation"
        raise EvaluationError(msg) from None


def _time(scope: Scope, given: Any) -> Expression:
    layout = fixed(given, "format", str)
    _reader(layout)
    location = _location(fixed(given, "location", str, ""), layout)
    if fixed(given, "locale", str, "").partition("-")[0] not in {"", "en"}:
        msg = "only English names of months and days are known"
        raise ConditionError(msg)
    return apply(lambda text: _read_time(text, layout, location), (given["time"],), kind=Kind.TIME)


# -------------------------------------------------------------------- writing


_WRITES: Mapping[str, Callable[[datetime], str]] = {
    "Y": lambda d: f"{d.year:04}",
    "y": lambda d: f"{d.year % 100:02}",
    "m": lambda d: f"{d.month:02}",
    "o": lambda d: f"{d.month:2}",
    "q": lambda d: str(d.month),
    **dict.fromkeys("bh", lambda d: _MONTHS[d.month - 1][:3]),
    "B": lambda d: _MONTHS[d.month - 1],
    "d": lambda d: f"{d.day:02}",
    "e": lambda d: f"{d.day:2}",
    "g": lambda d: str(d.day),
    "a": lambda d: _WEEKDAYS[d.weekday()][:3],
    "A": lambda d: _WEEKDAYS[d.weekday()],
    "H": lambda d: f"{d.hour:02}",
    "I": lambda d: f"{(d.hour - 1) % 12 + 1:02}",
    "l": lambda d: str((d.hour - 1) % 12 + 1),
    "p": lambda d: "PM" if d.hour >= 12 else "AM",  # noqa: PLR2004  noon
    "P": lambda d: "pm" if d.hour >= 12 else "am",  # noqa: PLR2004
    "M": lambda d: f"{d.minute:02}",
    "S": lambda d: f"{d.second:02}",
    "z": lambda _: "Z",
    "Z": lambda _: "UTC",
    "w": lambda _: "+000000",
    "i": lambda _: "+00",
    "j": lambda _: "+00:00",
    "k": lambda _: "+00:00:00",
    "n": lambda _: "\n",
    "t": lambda _: "\t",
    "%": lambda _: "%",
}
_WRITTEN = re.compile(r"(?P<mark>[.,])%(?P<fraction>[Lfs])|%(?P<letter>.)", re.DOTALL)


def _written(nanos: int, format: str) -> str:
    date = _calendar(nanos)

    def directive(found: re.Match[str]) -> str:
        if found["fraction"]:  # as Go writes .999: without zeros at the end, and nothing at all for zero
            digits = f"{nanos % _SECOND:09}"[: _FRACTIONS[found["fraction"]]].rstrip("0")
            return found["mark"] + digits if digits else ""
        return _WRITES[found["letter"]](date)

    return _WRITTEN.sub(directive, format)


def _calendar(nanos: int) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=nanos // _SECOND)
    except OverflowError:
        msg = "the time lies outside of the calendar"
        raise EvaluationError(msg) from None


def _format_time(scope: Scope, given: Any) -> Expression:
    if given["time"].kind is not Kind.TIME:
        msg = "FormatTime needs a time"
        raise ConditionError(msg)
    layout = _checked(fixed(given, "format", str))
    return apply(lambda nanos: _written(nanos, layout), (given["time"],))


# ------------------------------------------------------------------ the table


def _now(scope: Scope, given: Any) -> Expression:
    return Expression(lambda frame: [time.time_ns()] * frame.size, kind=Kind.TIME)


_ZERO_TIME = -62_135_596_800 * _SECOND
"""Go's zero time, the first of January of the year 1, from which it counts multiples of a duration."""


def _truncated(nanos: int, duration: int) -> int:
    return nanos if duration <= 0 else nanos - (nanos - _ZERO_TIME) % duration


def _unix(seconds: Any, nanos: Any = 0) -> int:
    if type(seconds) is int and type(nanos) is int:
        return seconds * _SECOND + nanos
    msg = "whole numbers are needed"
    raise EvaluationError(msg)


_UNITS = {"Hours": 3600 * _SECOND, "Minutes": 60 * _SECOND, "Seconds": _SECOND}
_SMALL_UNITS = {"Milliseconds": 1_000_000, "Microseconds": 1_000, "Nanoseconds": 1}
_TIME, _DURATION = {"time": Kind.TIME}, {"duration": Kind.DURATION}


def _part(name: str, read: Callable[[datetime], int]) -> Function:
    return of_kinds(name, _TIME, Kind.VALUE, lambda nanos: read(_calendar(nanos)))


TIMES: tuple[Function, ...] = (
    Function("Now", (), _now),
    Function("Time", ("time", "format", "location?", "locale?"), _time),
    Function("FormatTime", ("time", "format"), _format_time),
    of_kinds("TruncateTime", {**_TIME, **_DURATION}, Kind.TIME, _truncated),
    simple("Unix", _unix, "seconds", "nanoseconds?", kind=Kind.TIME),
    simple("Duration", nanoseconds, "duration", kind=Kind.DURATION),
    *[of_kinds(name, _DURATION, Kind.VALUE, lambda value, size=size: value / size) for name, size in _UNITS.items()],
    *[
        of_kinds(name, _DURATION, Kind.VALUE, lambda value, size=size: int(value / size) if size > 1 else value)
        for name, size in _SMALL_UNITS.items()
    ],
    of_kinds("UnixSeconds", _TIME, Kind.VALUE, lambda value: wrap_int64(value // _SECOND)),
    of_kinds("UnixMilli", _TIME, Kind.VALUE, lambda value: wrap_int64(value // 1_000_000)),
    of_kinds("UnixMicro", _TIME, Kind.VALUE, lambda value: wrap_int64(value // 1_000)),
    of_kinds("UnixNano", _TIME, Kind.VALUE, wrap_int64),
    of_kinds("Nanosecond", _TIME, Kind.VALUE, lambda value: value % _SECOND),
    _part("Second", lambda date: date.second),
    _part("Minute", lambda date: date.minute),
    _part("Hour", lambda date: date.hour),
    _part("Day", lambda date: date.day),
    _part("Weekday", lambda date: date.isoweekday() % 7),
    _part("Month", lambda date: date.month),
    _part("Year", lambda date: date.year),
)
