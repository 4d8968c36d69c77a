"""What must hold between two codecs for any bytes: every operation gives the same, or fails in the same way."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from untrace_pipeline.data import ATTRIBUTES, Field, Level, Signal, attribute
from untrace_pipeline.data.codec import Codec, Edits, Table
from untrace_pipeline.data.codecs.upb import UpbCodec
from untrace_pipeline.data.codecs.upb_fields import FIELDS
from untrace_pipeline.data.codecs.upb_schema import REQUESTS
from untrace_pipeline.errors import DecodeError

KEYS = ("a", "b", "service.name", "ключ", "", "gen_ai.request.model", "exception.message")
VALUES: tuple[Any, ...] = (
    *("", "x", "text", "é" * 300, "\x00", "x" * 5000, "lone \ud800"),
    *(b"", b"bytes", bytes(8), bytes(16), b"\xff" * 9000),
    *(True, False, 0, 1, -1, 2, 5, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, -(2**63), 2**64 - 1, 2**64),
    *(0.0, -0.0, 1.5, float("inf"), float("-inf"), 1e308),
    *([], [1, "x", None, [b"y"]], {}, {"k": {"k": [1.5, None]}}, {"a": None}),
)
BAD_VALUES: tuple[Any, ...] = (object(), {1: "x"}, {"a": object()}, [{2}], 10**400)
ENUM_LABELS = ("SPAN_KIND_CLIENT", "STATUS_CODE_ERROR", "SEVERITY_NUMBER_ERROR", "AGGREGATION_TEMPORALITY_DELTA")
RULES = (ValueError, KeyError, TypeError, IndexError, OverflowError)


def check_codecs(data: bytes) -> None:
    """Compare the native codec with upb; the first byte chooses the signal and protobuf or JSON."""
    from untrace_pipeline.data.codecs.native import NativeCodec  # noqa: PLC0415  needs the extension

    if not data:
        return
    upb, native, signal, body = UpbCodec(), NativeCodec(), list(Signal)[data[0] % 3], bytes(data[1:])
    if data[0] & 0x80:
        found = [outcome(codec.from_json, signal, body) for codec in (upb, native)]
        assert meaning(signal, found[0]) == meaning(signal, found[1])
        if not isinstance(found[0], bytes):
            return
        body = found[0]
    assert_equal_codecs(upb, native, signal, body, random.Random(zlib.crc32(data)))


def outcome(action: Callable[..., Any], *arguments: Any) -> Any:
    """Return what an action gives, or the class of the error that it raises."""
    try:
        return action(*arguments)
    except DecodeError:
        return DecodeError
    except UnicodeError:
        return ValueError  # the class is more exact than the contract
    except RULES as error:
        return type(error)


def assert_equal_codecs(one: Codec, other: Codec, signal: Signal, data: bytes, rng: random.Random) -> bool:
    """Compare all that two codecs make of a request; answer whether it is valid."""
    assert outcome(one.count, signal, data) == outcome(other.count, signal, data)
    texts = [outcome(codec.to_json, signal, data) for codec in (one, other)]
    assert texts[0] == texts[1]
    tables = [outcome(codec.table, signal, data) for codec in (one, other)]
    if DecodeError in tables:
        assert tables[0] == tables[1]
        return False
    assert_equal_tables(signal, tables[0], tables[1], rng)
    back = [outcome(codec.from_json, signal, texts[0]) for codec in (one, other)]
    assert meaning(signal, back[0]) == meaning(signal, back[1])
    return True


def meaning(signal: Signal, found: Any) -> Any:
    """Return a form of requests that is equal for two that say the same, whatever the order of fields."""
    if isinstance(found, bytes):
        return REQUESTS[signal].FromString(found).SerializeToString(deterministic=True)
    if isinstance(found, list):
        return [meaning(signal, each) for each in found]
    return found


def plain(found: Any) -> Any:
    """Return a form of a column, offsets or an error that tells ``True`` from ``1`` and is equal for equal NaN."""
    if isinstance(found, type):
        return found
    if isinstance(found, tuple):
        return [list(each) for each in found]
    return repr(list(found))


def fields_of(signal: Signal, level: Level) -> list[Field]:
    """Return every fixed field of a level, and some attributes."""
    fixed = [Field(level, name) for name in FIELDS.get((signal, level), {})]
    return [*fixed, Field(level, ATTRIBUTES), *(attribute(key, level) for key in KEYS)]


def assert_equal_tables(signal: Signal, one: Table, other: Table, rng: random.Random) -> None:
    """Compare all that two tables of one request give."""

    def same(name: str, *arguments: Any, form: Callable[[Any], Any] = plain) -> None:
        found, expected = (form(outcome(getattr(table, name), *arguments)) for table in (one, other))
        assert found == expected, (name, arguments)

    for level in Level:
        count = one.row_count(level)
        assert count == other.row_count(level)
        same("repeated_keys", level)
        for ancestor in Level:
            if ancestor < level and ancestor <= Level.ITEM:
                same("parents", level, ancestor)
        fields = fields_of(signal, level)
        same("columns", fields)
        rows = [rng.randrange(count) for _ in range(rng.randrange(4))] if count else []
        same("columns", rng.sample(fields, min(3, len(fields))), rows)
        same("columns", [Field(level, "no_such_field")])
    same("ranges")

    def means(found: Any) -> Any:
        return meaning(signal, found)

    for _ in range(3):
        same("rewrite", random_edits(signal, one, rng), form=means)
    parts = rng.randrange(1, 4)
    groups = [rng.randrange(-1, parts) for _ in range(one.row_count(Level.ITEM))]
    same("partition", groups, parts, form=means)
    same("split", rng.randrange(4), rng.choice((0, 1, 20, 60, 100, 200, 400, 1000, 5000)), form=means)


def random_edits(signal: Signal, table: Table, rng: random.Random) -> Edits:
    """Return new values for a few fields of a few rows, most of them good, and rows to drop."""
    edits = Edits()
    bad = rng.random() < 0.15
    for _ in range(rng.randrange(4)):
        level = rng.choice([level for level in Level if fields_of(signal, level)])
        field = rng.choice(fields_of(signal, level))
        rows = [row for row in range(table.row_count(level)) if rng.random() < 0.6]
        edits.values[field] = {row: _value(field, rng, bad=bad) for row in rows}
    while rng.random() < 0.4:
        level = rng.choice(list(Level))
        edits.drop[level] = {row for row in range(table.row_count(level)) if rng.random() < 0.4}
    return edits


def _value(field: Field, rng: random.Random, *, bad: bool) -> Any:
    if rng.random() < 0.15:
        return None
    if bad and rng.random() < 0.3:
        return rng.choice((*BAD_VALUES, *VALUES))
    if field.name == ATTRIBUTES and field.key is None:
        return {rng.choice(KEYS): rng.choice((None, *VALUES)) for _ in range(rng.randrange(4))}
    if field.name in (ATTRIBUTES, "body"):
        return rng.choice(VALUES)
    if field.name.endswith("_id"):
        return rng.choice((b"", bytes(range(8)), bytes(range(16))))
    return rng.choice((*_of_name(field.name), *(VALUES if rng.random() < 0.1 else ())))


def _of_name(name: str) -> Sequence[Any]:
    if name == "is_monotonic":
        return (True, False)
    if name in ("value", "sum"):
        return (1, 2.5, 0, -0.0, 2**40, -1)
    if name in ("kind", "status.code", "severity_number", "aggregation_temporality"):
        return (0, 1, 2, 5, *ENUM_LABELS)
    if name in ("flags", "dropped_attributes_count", "count") or name.endswith("_nano"):
        return (0, 1, 2**32 - 1, 300)
    return ("", "text", "ключ", "x" * 300)
