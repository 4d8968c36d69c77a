"""Functions of OTTL that take texts apart and put them together."""

from __future__ import annotations

import csv
import math
import re
import secrets
import time
import uuid
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from untrace_pipeline.conditions.converters import as_text, lower, to_double, upper
from untrace_pipeline.conditions.expression import Expression, apply
from untrace_pipeline.conditions.formats import FORMAT
from untrace_pipeline.conditions.function import Function, fixed, simple
from untrace_pipeline.conditions.paths import Scope
from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_pipeline.conditions.values import string_like
from untrace_pipeline.data import Value
from untrace_pipeline.errors import ConditionError, EvaluationError

__all__ = ["TEXTS"]

# ------------------------------------------------------------------ upper, lower

_WORD_BORDER = re.compile(r"(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Za-z])|(?<=[A-Z])(?=[0-9])")


def _ascii_lower(text: str) -> str:
    return text.lower() if text.isascii() else "".join([char.lower() if char.isascii() else char for char in text])


def _snake(text: Any) -> str:
    """Return ``my_metric`` for ``MyMetric``: a word begins where letters change their case or meet digits."""
    return re.sub(r"[ _.-]", "_", _ascii_lower(_WORD_BORDER.sub("_", as_text(text).strip())))


def _camel(text: Any) -> str:
    """Return ``MyMetric`` for ``my_metric``."""
    found: list[str] = []
    capital, after_capital = True, False
    for char in as_text(text).strip():
        is_capital = "A" <= char <= "Z"
        if is_capital or "a" <= char <= "z":
            found.append(char.upper() if capital else char.lower() if after_capital and is_capital else char)
            capital = False
        elif "0" <= char <= "9":
            found.append(char)
            capital = True
        else:
            capital = char in "_ -."
        after_capital = is_capital
    return "".join(found)


_CASES = {"lower": lower, "upper": upper, "snake": _snake, "camel": _camel}


def _convert_case(scope: Scope, given: Any) -> Expression:
    case = fixed(given, "to_case", str)
    if case not in _CASES:
        msg = f"to_case is one of {', '.join(_CASES)}, not {case!r}"
        raise ConditionError(msg)
    return apply(_CASES[case], (given["target"],))


# --------------------------------------------------------------------- parsing


def _extract(target: Any, pattern: Any) -> Value:
    try:
        compiled = compile_pattern(as_text(pattern))
    except ConditionError:
        msg = "the pattern is no regular expression"
        raise EvaluationError(msg) from None
    if not compiled.groupindex:
        msg = "the pattern needs a group with a name: (?P<name>…)"
        raise EvaluationError(msg)
    match = compiled.search(as_text(target))
    return {} if match is None else {name: match.group(name) or "" for name in compiled.groupindex}


def _extract_patterns(scope: Scope, given: Any) -> Expression:
    pattern: Expression = given["pattern"]
    if pattern.constant and not compile_pattern(str(pattern.constant[0])).groupindex:
        msg = "the pattern needs a group with a name: (?P<name>…)"
        raise ConditionError(msg)
    return apply(_extract, (given["target"], pattern))


def _key_value(scope: Scope, given: Any) -> Expression:
    delimiter, between = _delimiters(given)
    return apply(lambda text: _pairs(as_text(text), delimiter, between), (given["target"],))


def _delimiters(given: Any) -> tuple[str, str]:
    delimiter, between = fixed(given, "delimiter", str, "="), fixed(given, "pair_delimiter", str, " ")
    if not delimiter or not between or delimiter == between:
        msg = "delimiter and pair_delimiter must be different, and not empty"
        raise ConditionError(msg)
    return delimiter, between


def _pairs(text: str, delimiter: str, between: str) -> Value:
    parts = [part.partition(delimiter) for part in _unquoted_parts(text, between)]
    if not text or any(not middle for _, middle, _ in parts):
        msg = "the text holds no pairs of key and value"
        raise EvaluationError(msg)
    return {key.strip(): value.strip() for key, _, value in parts}


def _unquoted_parts(text: str, delimiter: str) -> list[str]:
    """Split a text where it is not quoted; quotes vanish, what they enclose stays together."""
    if not any(mark in text for mark in "\"'\\"):
        return [part for part in text.split(delimiter) if part]
    parts, current, quote, position = [], "", "", 0
    while position < len(text):
        char = text[position]
        if not quote and text.startswith(delimiter, position):
            parts.append(current)
            current = ""
            position += len(delimiter)
            continue
        if char == "\\" and position + 1 < len(text):
            current += text[position : position + 2]
            position += 2
            continue
        if char == quote or (not quote and char in "\"'"):
            quote = "" if quote else char
        else:
            current += char
        position += 1
    if quote:
        msg = "a quote is not closed"
        raise EvaluationError(msg)
    return [part for part in [*parts, current] if part]


def _parse_csv(scope: Scope, given: Any) -> Expression:
    delimiter = fixed(given, "delimiter", str, ",")[:1]
    between = fixed(given, "header_delimiter", str, delimiter)
    mode = fixed(given, "mode", str, "strict")
    if mode not in {"strict", "lazyQuotes", "ignoreQuotes"} or not delimiter:
        msg = "mode is strict, lazyQuotes or ignoreQuotes, and the delimiter one character"
        raise ConditionError(msg)

    def parse(text: Any, header: Any) -> Value:
        names = as_text(header).split(between)
        fields = _csv_fields(as_text(text), delimiter, mode)
        if not header or len(names) != len(fields):
            msg = f"{len(fields)} fields do not fit {len(names)} headers"
            raise EvaluationError(msg)
        return dict(zip(names, fields, strict=True))

    return apply(parse, (given["target"], given["header"]))


def _csv_fields(text: str, delimiter: str, mode: str) -> list[str]:
    if mode == "ignoreQuotes":
        return text.split(delimiter)
    row = text.strip("\n")
    if mode == "strict" and re.search(rf'[^"{re.escape(delimiter)}\n]"(?!")(?![{re.escape(delimiter)}\n]|\Z)', row):
        msg = "a quote stands within a field"
        raise EvaluationError(msg)
    csv.field_size_limit(1 << 31)
    try:
        rows = list(
            csv.reader(
                [row.replace("\n", " ") if '"' not in row else row], delimiter=delimiter, strict=mode == "strict"
            )
        )
    except csv.Error:
        msg = "this is no row of CSV"
        raise EvaluationError(msg) from None
    if not rows:
        msg = "there are no fields"
        raise EvaluationError(msg)
    return rows[0]


_INT64 = range(-(1 << 63), 1 << 63)
_LONGEST_NUMBER = 80


def _parse_int(text: Any, base: Any) -> int:
    if type(base) is not int or base == 1 or not 0 <= base <= 36 or len(as_text(text)) > _LONGEST_NUMBER:  # noqa: PLR2004
        msg = "a base is 0 or 2 to 36"
        raise EvaluationError(msg)
    bare = as_text(text)
    octal = re.fullmatch(r"([+-]?)0([0-7_]+)", bare) if base == 0 else None
    try:
        number = int(f"{octal[1]}0o{octal[2]}" if octal else bare, base)
    except ValueError:
        number = _INT64.stop
    if number not in _INT64 or (base and "_" in bare) or bare != bare.strip() or not bare.isascii():
        msg = "the text is no whole number of 64 bits in this base"
        raise EvaluationError(msg)
    return number


def _url(text: Any) -> Value:
    whole = as_text(text)
    if not whole:
        msg = "an empty text is no URL"
        raise EvaluationError(msg)
    if whole.startswith("?"):
        query: dict[str, Value] = {name: list(values) for name, values in parse_qs(whole[1:], True).items()}
        return {"query": query} if query else {}
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError:
        msg = "this is no URL"
        raise EvaluationError(msg) from None
    path = unquote(parts.path)
    extension = path.rpartition(".")[2] if "." in path else ""
    user_info = parts.netloc.rpartition("@")[0]
    optional = {
        "url.port": port,
        "url.fragment": unquote(parts.fragment),
        "url.query": parts.query,
        "url.user_info": user_info,
        "url.username": unquote(parts.username or ""),
        "url.password": unquote(parts.password or ""),
        "url.extension": extension,
    }
    host = (parts.netloc.rpartition("@")[2] or "").removesuffix(f":{port}" if port is not None else "")
    return {
        "url.original": whole,
        "url.scheme": parts.scheme,
        "url.domain": host.removeprefix("[").removesuffix("]"),
        "url.path": path,
        **{name: value for name, value in optional.items() if value},
    }


# ---------------------------------------------------------------- numbers, ids


def _logarithm(value: Any) -> float:
    number = to_double(value)
    if not isinstance(number, float) or not number > 0:
        msg = "only numbers above zero have a logarithm"
        raise EvaluationError(msg)
    return math.log(number)


def _luhn(value: Any) -> bool:
    """Return whether the last digit is the checksum of the others."""
    text = (string_like(value) or "-").replace(" ", "")
    if not text:
        return False
    if not (text.isascii() and text.isdigit()):
        msg = "only digits have a checksum"
        raise EvaluationError(msg)
    doubled = [int(digit) * 2 for digit in text[-2::-2]]
    total = sum(map(int, text[::-2])) + sum(number - 9 if number > 9 else number for number in doubled)  # noqa: PLR2004
    return total % 10 == 0


def _uuid7() -> str:
    """Return a UUID that begins with the time, RFC 9562 §5.7."""
    millis = time.time_ns() // 1_000_000
    value = millis << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))


def _fresh(name: str, make: Any) -> Function:
    """Return a function without arguments that gives each row something else."""
    return Function(name, (), lambda scope, given: Expression(lambda frame: [make() for _ in range(frame.size)]))


TEXTS: tuple[Function, ...] = (
    Function("ConvertCase", ("target", "to_case"), _convert_case),
    simple("ToLowerCase", lower, "target"),
    simple("ToUpperCase", upper, "target"),
    simple("ToSnakeCase", _snake, "target"),
    simple("ToCamelCase", _camel, "target"),
    FORMAT,
    Function("ExtractPatterns", ("target", "pattern"), _extract_patterns),
    Function("ParseKeyValue", ("target", "delimiter?", "pair_delimiter?"), _key_value),
    Function("ParseCSV", ("target", "header", "delimiter?", "header_delimiter?", "mode?"), _parse_csv),
    simple("ParseInt", _parse_int, "target", "base"),
    simple("URL", _url, "uri"),
    simple("Log", _logarithm, "target"),
    simple("IsValidLuhn", _luhn, "target", boolean=True),
    _fresh("UUID", lambda: str(uuid.uuid4())),
    _fresh("UUIDv7", _uuid7),
)
