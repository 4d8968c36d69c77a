"""Tables of the native codec are those of the upb codec, value by value and error by error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from google.protobuf.message import Message

from untrace_pipeline.data import ATTRIBUTES, Field, Level, Signal, attribute
from untrace_pipeline.data.codec import Edits, Table
from untrace_pipeline.data.codecs.upb import UpbCodec
from untrace_pipeline.data.codecs.upb_fields import FIELDS
from untrace_pipeline.data.codecs.upb_schema import REQUESTS
from untrace_pipeline.data.codecs.upb_table import UpbTable
from untrace_pipeline.errors import DecodeError
from untrace_pipeline.testing.generate import make_request, to_any_value

native = pytest.importorskip("untrace_pipeline_native", reason="the extension is not installed (make native)")

from untrace_pipeline.data.codecs.native import NativeCodec  # noqa: E402  needs the extension

NATIVE, UPB = NativeCodec(), UpbCodec()
VALUES: dict[str, Any] = {
    "text": "ключ\U0001f511",
    "": "empty key",
    "nothing": None,
    "no": False,
    "yes": True,
    "least": -(2**63),
    "most": 2**63 - 1,
    "real": -1.5e300,
    "bytes": b"\x00\xff",
    "list": [1, "a", None, [b"x", {"k": []}]],
    "map": {"a": {"b": [1.0]}, "": None},
    "long": "x" * 300 + "é",
}
KEYS = [*VALUES, "service.name", "gen_ai.request.model", "index", "absent", "\ud800"]


def padded(message: Message) -> bytes:
    """Return a message with four bytes for every length, as SDKs write them that fill them in later (.NET)."""
    out = b""
    for field, value in message.ListFields():
        for one in value if field.is_repeated else [value]:
            if field.message_type or field.type in (field.TYPE_STRING, field.TYPE_BYTES):
                text = one.encode() if isinstance(one, str) else one
                body = padded(one) if field.message_type else text
                size = len(body)
                out += bytes(
                    [field.number << 3 | 2, *(size >> shift & 0x7F | 0x80 for shift in (0, 7, 14)), size >> 21]
                )
                out += body
            elif not field.is_repeated:
                out += type(message)(**{field.name: one}).SerializeToString()
    return out


def requests() -> dict[str, tuple[Signal, bytes]]:
    """Return requests of all signals: of SDKs, with every kind of value, without anything."""
    found = {}
    for signal in Signal:
        request: Any = make_request(signal, 7, resources=2, attributes=VALUES, resource=VALUES)
        found[str(signal)] = (signal, request.SerializeToString())
        found[f"{signal} padded"] = (signal, padded(request))
        found[f"{signal} large"] = (signal, make_request(signal, 700).SerializeToString())
        found[f"{signal} empty"] = (signal, b"")
        found[f"{signal} bare"] = (signal, b"\x0a\x00" + b"\x0a\x02\x12\x00" + b"\x0a\x04\x12\x02\x12\x00")
    traces: Any = make_request(Signal.TRACES, 3)
    for span in traces.resource_spans[0].scope_spans[0].spans:
        span.links.add(trace_id=b"t" * 16, flags=7).attributes.add(key="index").value.int_value = 1
        span.attributes.add(key="text", value=to_any_value("first"))
        span.attributes.add(key="text", value=to_any_value("second"))
        span.start_time_unix_nano, span.end_time_unix_nano = 2**64 - 1, 5
    found["traces odd"] = (Signal.TRACES, traces.SerializeToString())
    metrics: Any = REQUESTS[Signal.METRICS]()
    scope = metrics.resource_metrics.add().scope_metrics.add()
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
        metric = scope.metrics.add(name=kind, unit="s")
        metric.metadata.add(key="text", value=to_any_value("meta"))
        points = getattr(metric, kind).data_points
        points.add(flags=3).attributes.add(key="index", value=to_any_value(4))
        points.add(time_unix_nano=9)
        if kind in ("histogram", "exponential_histogram", "summary"):
            points[0].count, points[0].sum = 3, 1.5
        elif kind == "sum":
            points[0].as_int = -5
            metric.sum.is_monotonic = True
            metric.sum.aggregation_temporality = 2
        else:
            points[0].as_double = 0.5
    scope.metrics.add(name="without data")
    found["metrics of all types"] = (Signal.METRICS, metrics.SerializeToString())
    return found


REQUEST = pytest.mark.parametrize(("signal", "data"), list(requests().values()), ids=list(requests()))


def both(signal: Signal, data: bytes, read: Callable[[Table], object]) -> tuple[object, object]:
    """Return what the tables of both codecs say; an exception is an answer too."""

    def answer(table: Table) -> object:
        try:
            return typed(read(table))
        except (KeyError, ValueError, IndexError) as error:
            return type(error), str(error)

    table = NATIVE.table(signal, data)
    assert isinstance(table, native.Table)
    return answer(table), answer(UPB.table(signal, data))


def typed(value: object) -> object:
    """Return a value with the types in it, which ``==`` does not tell, and with the order of keys."""
    if isinstance(value, dict):
        return dict, [(key, typed(element)) for key, element in value.items()]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [typed(element) for element in value]
    return type(value), repr(value)


@REQUEST
@pytest.mark.parametrize("level", list(Level))
def test_columns(signal: Signal, data: bytes, level: Level) -> None:
    """Every field of every level has the same values of the same types, alone, together and for some rows."""
    fields = [Field(level, name) for name in FIELDS.get((signal, level), {})]
    fields += [attribute(key, level) for key in KEYS] + [Field(level, ATTRIBUTES), attribute("text", level)]
    for wanted in (fields, fields[::-1], *[[field] for field in fields], []):
        ours, theirs = both(signal, data, lambda table, wanted=wanted: table.columns(wanted))  # type: ignore[misc]
        assert ours == theirs
    rows = range(0, UPB.table(signal, data).row_count(level), 2)
    for chosen in (rows, list(rows)[::-1], tuple(rows[:1]) * 3, ()):
        ours, theirs = both(signal, data, lambda table, chosen=chosen: table.columns(fields, chosen))  # type: ignore[misc]
        assert ours == theirs


@REQUEST
def test_rows(signal: Signal, data: bytes) -> None:
    """Counts, parents, ranges and repeated keys are the same, and so is the reason why there are no parents."""
    ours, theirs = both(signal, data, lambda table: table.ranges())
    assert ours == theirs
    assert NATIVE.count(signal, data) == UPB.count(signal, data)
    for level in Level:
        ours, theirs = both(signal, data, lambda table, level=level: table.row_count(level))  # type: ignore[misc]
        assert ours == theirs
        ours, theirs = both(signal, data, lambda table, level=level: table.repeated_keys(level))  # type: ignore[misc]
        assert ours == theirs
        for ancestor in Level:
            ours, theirs = both(
                signal,
                data,
                lambda table, level=level, ancestor=ancestor: table.parents(level, ancestor),  # type: ignore[misc]
            )
            assert ours == theirs


@REQUEST
def test_writing(signal: Signal, data: bytes) -> None:
    """New bytes mean the same, and so does JSON."""
    table = UPB.table(signal, data)
    rows = range(table.row_count(Level.ITEM))
    edits = Edits({attribute("text"): dict.fromkeys(rows[::2], "new")}, {Level.ITEM: set(rows[1::3])})
    writes: list[Callable[[Table], list[bytes]]] = [
        lambda table: [table.rewrite(edits)],
        lambda table: table.partition([row % 3 - 1 for row in rows], 2),
        lambda table: table.split(2, 0),
    ]
    for write in writes:
        ours, theirs = write(NATIVE.table(signal, data)), write(table)
        parse = REQUESTS[signal].FromString
        assert [parse(one) for one in ours] == [parse(other) for other in theirs]
    assert NATIVE.to_json(signal, data) == UPB.to_json(signal, data)


@pytest.mark.parametrize("signal", list(Signal))
@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("name", ["unheard_of", "name", "code", "duration_nanos", "resource"])
def test_unknown_fields(signal: Signal, level: Level, name: str) -> None:
    """A fixed field that a level does not have is a ``KeyError`` with the same text."""
    ours, theirs = both(signal, b"", lambda table: table.columns([Field(level, name)]))
    assert ours == theirs


def test_rows_that_are_not_there() -> None:
    """A row beyond the last is an ``IndexError``."""
    ours, theirs = both(Signal.TRACES, b"\x0a\x00", lambda table: table.columns([attribute("a", Level.RESOURCE)], [1]))
    assert ours == theirs


@REQUEST
def test_cut_requests(signal: Signal, data: bytes) -> None:
    """A request that ends early is refused by both, by the count and by the table; ours names the place."""
    for end in {*range(min(len(data), 50)), *range(0, len(data), 1 + len(data) // 50)}:
        try:
            expected = UPB.table(signal, data[:end])
        except DecodeError:
            with pytest.raises(DecodeError) as caught:
                NATIVE.table(signal, data[:end])
            assert caught.value.offset is not None
            with pytest.raises(DecodeError):
                NATIVE.count(signal, data[:end])
        else:
            assert NATIVE.table(signal, data[:end]).row_count(Level.ITEM) == expected.row_count(Level.ITEM)


@pytest.mark.parametrize(
    "field",
    [b"\x2a\x01a\x2a\x01b", b"\x0b\x0c", b"\x28\x01", b"\xaa\x00\x01x", b"\x7a\x00\x7a\x00"],
    ids=["twice", "group", "other wire type", "long tag", "message twice"],
)
def test_odd_requests(field: bytes) -> None:
    """What is legal but odd is read by the upb codec."""
    data = b"\x0a" + bytes([len(field) + 4]) + b"\x12" + bytes([len(field) + 2]) + b"\x12" + bytes([len(field)]) + field
    assert native.decode("traces", data) is None
    table = NATIVE.table(Signal.TRACES, data)
    assert isinstance(table, UpbTable)
    assert table.row_count(Level.ITEM) == NATIVE.count(Signal.TRACES, data) == 1


def test_values_that_repeat_are_one_object() -> None:
    """Rows share the string of their neighbours; nothing else is cached."""
    data = make_request(Signal.TRACES, 4, attributes={"environment": "production" * 9}).SerializeToString()
    table = NATIVE.table(Signal.TRACES, data)
    column, maps = table.columns([attribute("environment"), Field(Level.ITEM, ATTRIBUTES)])
    assert len({id(value) for value in column}) == 1
    assert len({id(one["environment"]) for one in maps if isinstance(one, dict)}) == 1
    assert len({id(one) for one in maps}) == len(maps)


def test_arguments_of_other_types() -> None:
    """Callers learn about a wrong signal or type from a Python exception."""
    with pytest.raises(ValueError, match="no signal is called"):
        native.count("profiles", b"")
    with pytest.raises(TypeError):
        native.decode("traces", bytearray(b""))
    with pytest.raises(ValueError, match="no level has the number 9"):
        native.decode("traces", b"").row_count(9)


def test_of_ids_the_last_one_counts() -> None:
    """A field that comes twice has the second value, ids too: the first may be anything."""
    span = b"\x22\x02xy" + b"\x22\x08" + b"i" * 8
    data = b"\x0a" + bytes([len(span) + 4]) + b"\x12" + bytes([len(span) + 2]) + b"\x12" + bytes([len(span)]) + span
    assert NATIVE.table(Signal.TRACES, data).columns([Field(Level.ITEM, "parent_span_id")]) == [[b"i" * 8]]


class Renamed(dict[str, Any]):
    """A map that shows other items than it was given."""

    def items(self) -> Any:
        return {f"new.{key}": value for key, value in super().items()}.items()


def test_values_of_other_types_speak_for_themselves() -> None:
    """A subclass of ``dict`` is what its methods say, in both codecs."""
    data = make_request(Signal.TRACES, items=1).SerializeToString()
    edits = Edits({Field(Level.ITEM, ATTRIBUTES): {0: Renamed(a=1)}, attribute("nested"): {0: Renamed(b=[2])}})
    for codec in (NATIVE, UPB):
        written = codec.table(Signal.TRACES, data).rewrite(edits)
        (found,) = codec.table(Signal.TRACES, written).columns([Field(Level.ITEM, ATTRIBUTES)])
        assert found == [{"new.a": 1, "nested": {"new.b": [2]}}]


class Meddler(Mapping[str, Any]):
    """A map that calls something when it is looked at."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._then = then

    def __getitem__(self, key: str) -> Any:
        return self._then() or key

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


def test_values_may_change_the_edits() -> None:
    """What a value's own code does to the edits meanwhile does not matter."""
    data = make_request(Signal.TRACES, items=3).SerializeToString()
    rows: dict[int, Any] = {0: Meddler(lambda: rows.pop(2, None) and None), 1: "one", 2: "two"}
    written = NATIVE.table(Signal.TRACES, data).rewrite(Edits({attribute("k"): rows}))
    assert NATIVE.table(Signal.TRACES, written).columns([attribute("k")]) == [[{"a": "a"}, "one", "two"]]


def test_values_that_fail() -> None:
    """What a value's own code raises arrives."""
    data = make_request(Signal.TRACES, items=1).SerializeToString()
    rows: dict[int, Any] = {0: Meddler(lambda: 1 // 0)}
    with pytest.raises(ZeroDivisionError):
        NATIVE.table(Signal.TRACES, data).rewrite(Edits({attribute("k"): rows}))
