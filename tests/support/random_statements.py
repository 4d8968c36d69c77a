"""Statements and conditions by chance, valid for both daemons, and data in which every attribute may be anything."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from untrace_pipeline.testing.generate import to_any_value

__all__ = ["random_condition", "random_spans", "random_statements"]

KEYS = ("a", "b", "c", "text", "json", "map", "list", "n")
TEXTS = (
    "",
    "abc",
    "a,b,,c",
    "Ünïcode ✓",
    "k=v l=w",
    '{"x":{"y":[1,2,{"z":null}]},"n":1.5}',
    '[1,"two",true]',
    "{broken",
    "12",
    "-7.5e3",
    "user@example.com",
    "https://example.com:8080/p/a.th?q=1#f",
    "true",
    "snake_case-and.Dots",
    "x" * 300,
    "2024-02-29 12:30:00",
)
PATTERNS = ("a", "[0-9]+", "^.", "(b|c)+", "e$", "\\\\w+@", "", "x*")
KEPT = '["a", "map", "text", "gone"]'


def _value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(9 if depth < 2 else 6)
    match kind:
        case 0 | 1:
            return rng.choice(TEXTS)
        case 2:
            return rng.choice((0, 1, -1, 7, 42, 2**53 + 1, -(2**63), 2**63 - 1))
        case 3:
            return rng.choice((0.0, 1.5, -2.25, 1e21, 1e-7, 100.0))
        case 4:
            return rng.random() < 0.5
        case 5:
            return rng.choice((b"", b"\x00\xff", b"bytes"))
        case 6:
            return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
        case _:
            return {rng.choice(("x", "y", "z", "a.b")): _value(rng, depth + 1) for _ in range(rng.randrange(4))}


def random_spans(seed: int, count: int = 60) -> list[Message]:
    """Return requests of spans whose attributes have values of any type."""
    rng = random.Random(seed)
    request = ExportTraceServiceRequest()
    for number in range(3):
        resource = Resource()
        for key in rng.sample(KEYS, 4):
            resource.attributes.add(key=key, value=to_any_value(_value(rng)))
        scope = request.resource_spans.add(resource=resource).scope_spans.add()
        scope.scope.name = ("scope", "", "other")[number]
        for index in range(count // 3):
            span = Span(
                trace_id=rng.randbytes(16),
                span_id=rng.randbytes(8),
                name=rng.choice(TEXTS),
                kind=rng.choice(list(Span.SpanKind.values())),
                start_time_unix_nano=1_700_000_000_000_000_000 + index,
                end_time_unix_nano=1_700_000_000_000_000_000 + rng.randrange(10**10),
            )
            for key in rng.sample(KEYS, rng.randrange(len(KEYS) + 1)):
                span.attributes.add(key=key, value=to_any_value(_value(rng)))
            scope.spans.append(span)
    return [request]


class _Writer:
    """Writes OTTL by chance."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def one_of(self, *choices: str) -> str:
        return self._rng.choice(choices)

    def key(self) -> str:
        return self._rng.choice(KEYS)

    def place(self) -> str:
        """Return an attribute, or a place inside of one."""
        inside = self.one_of("", "", "", '["x"]', "[0]", '["x"]["y"]', "[1]")
        owner = self.one_of("span", "span", "span", "resource")
        return f'{owner}.attributes["{self.key()}"]{inside}'

    def whole_map(self) -> str:
        return self.one_of("span.attributes", "span.attributes", 'span.attributes["map"]', "resource.attributes")

    def value(self) -> str:
        """Return anything that can be written or compared."""
        return self.literal() if self._rng.random() < 0.3 else self.found()

    def found(self, depth: int = 0) -> str:
        """Return what is known when the data is there; the Collector checks the type of anything else at start."""
        simple = [self.place, self.place, self.field]
        if depth < 2:
            simple += [lambda: self.call(depth + 1), lambda: self.call(depth + 1), self.sum]
        return self._rng.choice(simple)()

    def literal(self) -> str:
        return self.one_of('"abc"', '"12"', "7", "-1", "1.5", "true", "nil", '["a", 1]', '{"x": 1}', "0x6162", '""')

    def field(self) -> str:
        return self.one_of("span.name", "span.kind", "span.kind.string", "scope.name", "span.start_time_unix_nano")

    def sum(self) -> str:
        return f"{self.place()} {self.one_of('+', '-', '*', '/')} {self.place()}"

    def call(self, depth: int) -> str:
        value = self.found(depth)
        return self.one_of(
            f"Len({value})",
            f"Int({value})",
            f"Double({value})",
            f"Bool({value})",
            f"String({value})",
            f"ParseJSON({value})",
            f'ParseJSON({value})["x"]',
            f'Split({value}, ",")',
            f'Split({value}, ",")[1]',
            f"SHA256({value})",
            f"MD5({value})",
            f"FNV({value})",
            f"Hex({value})",
            f"Base64Encode({value})",
            f"Substring({value}, 0, 2)",
            f"ToSnakeCase({value})",
            f"ToCamelCase({value})",
            f"ToUpperCase({value})",
            f'Concat([{value}, {self.place()}], "|")',
            f"Coalesce([{value}, {self.place()}])",
            f'Trim({value}, "a")',
            f"Sort({value})",
            f"Keys({value})",
            f"Values({value})",
            f'ToKeyValueString({value}, "=", " ", true)',
            f"ParseKeyValue({value})",
            f"URL({value})",
            f"IsString({value})",
            f"IsMap({value})",
            f"IsEmpty({value})",
            f'Index({value}, "b")',
            f"ContainsValue({value}, 1)",
            f'HasPrefix({value}, "a")',
            f"ParseInt({value}, 10)",
            f'ExtractPatterns({value}, "(?P<first>[a-z]+)(?P<rest>.*)")',
            f"UnixMilli(Unix({value}))",
        )

    def condition(self, depth: int = 0) -> str:
        simple = [
            lambda: f"{self.value()} {self.one_of('==', '!=', '<', '<=', '>', '>=')} {self.value()}",
            lambda: f"{self.place()} {self.one_of('==', '!=')} nil",
            lambda: f'IsMatch({self.found(1)}, "{self._rng.choice(PATTERNS)}")',
            lambda: f"{self.one_of('IsString', 'IsInt', 'IsDouble', 'IsBool', 'IsList', 'IsMap')}({self.place()})",
        ]
        if depth < 2:
            simple.append(lambda: f"not ({self.condition(depth + 1)})")
            simple.append(
                lambda: f"({self.condition(depth + 1)} {self.one_of('and', 'or')} {self.condition(depth + 1)})"
            )
        return self._rng.choice(simple)()

    def statement(self) -> str:
        pattern = self._rng.choice(PATTERNS)
        editor = self.one_of(
            f"set({self.place()}, {self.value()})",
            f"set({self.place()}, {self.value()})",
            f"set({self.place()}, {self.value()})",
            f"set(span.name, {self.one_of('String', 'ToLowerCase')}({self.place()}))",
            f'set(span.cache["{self.key()}"], {self.value()})',
            f'set({self.place()}, span.cache["{self.key()}"])',
            f'delete_key({self.whole_map()}, "{self.key()}")',
            f'delete_matching_keys({self.whole_map()}, "^[ab]")',
            f"keep_keys({self.whole_map()}, {KEPT})",
            f'limit({self.whole_map()}, 3, ["a"])',
            f"truncate_all({self.whole_map()}, 5)",
            f"stringify_all({self.whole_map()})",
            f'merge_maps({self.whole_map()}, {self.found(1)}, "{self.one_of("insert", "update", "upsert")}")',
            f"append({self.place()}, String({self.found(1)}))",  # a map: by its origin
            f"delete_index({self.place()}, 0)",
            # Only on spans: what grows with each of the rows that share it is stopped by us, and not by the Collector.
            f'replace_pattern(span.attributes["{self.key()}"], "{pattern}", "<$$0>")',
            f'replace_all_patterns(span.attributes, "value", "{pattern}", "-")',
            f'replace_match({self.place()}, "*a*", "matched")',
        )
        return editor if self._rng.random() < 0.5 else f"{editor} where {self.condition()}"


def random_statements(seed: int, count: int) -> Sequence[str]:
    """Return statements on spans; each names the context of all its paths."""
    writer = _Writer(random.Random(seed))
    return [writer.statement() for _ in range(count)]


def random_condition(seed: int) -> str:
    """Return a condition on spans."""
    return _Writer(random.Random(seed)).condition()
