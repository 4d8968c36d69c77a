"""Nothing that a pattern matches escapes the scanners, and the fast path gives what the slow one gives."""

import random
import string
from typing import Any

import pytest
import re2
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.pattern_strategies import patterns_of
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Signal, Value
from untrace_pipeline.testing import make_settings
from untrace_pipeline.testing.generate import to_any_value
from untrace_plugins.processors.redaction.config import RedactionConfig
from untrace_plugins.processors.redaction.confirm import Pattern
from untrace_plugins.processors.redaction.policy import Policy
from untrace_plugins.processors.redaction.processor import Redaction
from untrace_plugins.scanning import scanner as scanner_module
from untrace_plugins.scanning.relax import relax
from untrace_plugins.scanning.scanner import Scanner
from untrace_plugins.scanning.syntax import UnsupportedError

ALPHABET = "ab1 .-\n_@é\u017f\u212a世😀kS\0"
REAL = (
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"\b(?:\d{4}[ -]?){3}\d{4}\b",
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"\+\d{1,2}[ .-]?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b",
    r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
    r"\bsk-[A-Za-z0-9]{20,}\b",
    r"(?i)\bpassword\s*[:=]\s*\S+",
    r"^secret$",
    r"(?m)^key:.*$",
    r"(?s)BEGIN.*END",
    r"4[0-9]{12}(?:[0-9]{3})?",
    r"\p{Greek}+\d",
    r"[[:alpha:]]{3}[^[:space:]a-z]\b",
    r"\Qa.b\E[^\d\n]",
    r"(?:foo|bar|)baz+?",
    r"世.界",
    r"\x{1F600}x{2,}",
    r"(?i)straße|\x{17f}|\x{212a}",
    r"[^\x00-\x7F]{2}\B",
)

ATOMS = (
    r"a b 1 k S é 世 . \d \w \s \S \W \D [ab] [^a] [^é1] [k-s] [世-界a] \b \B ^ $ \x{1F600} \. @ \n \pL \PL "
    r"[[:alnum:]] [[:^digit:]] (?i:K) (?i:[^s]) (?s:.) \Q.-\E \A \z - _ \x41 \0 [-a] [a-] []a]"
)


patterns = patterns_of(ATOMS)
texts = st.text(ALPHABET, max_size=40)


def _compiled(pattern: str) -> Pattern:
    try:
        return Pattern(pattern)
    except ValueError:
        assume(False)
        raise


@settings(max_examples=400, deadline=None)
@given(patterns, texts, st.binary(max_size=6), st.binary(max_size=6))
@example(r"\b1", "1", b"\x0a1", b"1")
@example(r"(?i)K", "\u212a", b"", b"")
@example(r"(?i)\w", "\u017f", b"", b"")
@example(r"a.b", "aéb", b"", b"")
@example(r"[^a]", "é", b"", b"")
def test_a_match_is_never_missed(pattern: str, text: str, before: bytes, after: bytes) -> None:
    """Wherever a value lies between other bytes, both engines find it if the pattern matches it."""
    value = text.encode()
    assume(_compiled(pattern).matches(value))
    size = len(value)
    framed = b"\x0a" + (bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])) + value
    data = before + framed + after
    start = len(before)
    for use_hyperscan in (True, False):
        scanner = Scanner([pattern], use_hyperscan=use_hyperscan)
        if scanner.unscanned:
            continue
        suspects = scanner.suspects(data, lambda: ([start], [start + len(framed)]))
        assert list(suspects.items) == [0]
        assert 1 in scanner.candidates_in([b"x", value, b"1"])


@pytest.mark.parametrize("pattern", REAL)
def test_real_patterns_can_be_scanned(pattern: str) -> None:
    """Patterns as people write them need no fallback."""
    for use_hyperscan in (True, False):
        assert Scanner([pattern], use_hyperscan=use_hyperscan).unscanned == {}


@pytest.mark.parametrize("pattern", ["a*", "", ".*", "(?:a|)", r"\b", "x?y*", r"[\pL]", r"\C", "(?:a.{100}){9}b"])
def test_patterns_without_a_safe_prefilter_are_named(pattern: str) -> None:
    """Patterns that match the empty string, or that the reader does not know, are never scanned for."""
    with pytest.raises(UnsupportedError):
        relax(pattern)
    assert 0 in Scanner([pattern]).unscanned


def test_what_an_engine_cannot_compile_is_not_scanned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefilter that an engine refuses falls back to matching every value; the others are still scanned for."""
    monkeypatch.setattr(scanner_module, "relax", lambda pattern: b"(?" if pattern == "x" else pattern.encode())
    for use_hyperscan in (True, False):
        scanner = Scanner(["a", "x", "b"], use_hyperscan=use_hyperscan)
        assert set(scanner.unscanned) == {1}
        assert 0 in scanner.candidates_in([b"xab"])
        assert Scanner(["x"], use_hyperscan=use_hyperscan).candidates_in([b"x"]) == {}


# ---------------------------------------------------------------- whole batches

values: st.SearchStrategy[Value] = st.one_of(
    texts,
    texts.map(str.encode),
    st.sampled_from(
        ["4111111111111111", "jane@example.com", "10.0.0.1", "secret", "x 123-45-6789", "é1", "123-45-67890"]
    ),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(texts, max_size=2),
    st.dictionaries(texts, texts, max_size=2),
)
keys = st.sampled_from(["a", "b.token", "jane@example.com", "4111111111111111", "redaction.masked.keys", "safe_x", "1"])
maps = st.dictionaries(keys, values, max_size=4)
spans = st.tuples(maps, st.lists(maps, max_size=2), texts)


def _fill(key_values: Any, attributes: dict[str, Value]) -> None:
    for key, value in attributes.items():
        key_values.add(key=key).value.CopyFrom(to_any_value(value))


@st.composite
def trace_batches(draw: st.DrawFn) -> bytes:
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(1, 2))):
        group = request.resource_spans.add()
        _fill(group.resource.attributes, draw(maps))
        scope = group.scope_spans.add()
        _fill(scope.scope.attributes, draw(maps))
        for attributes, events, name in draw(st.lists(spans, max_size=3)):
            span = scope.spans.add(name=name)
            _fill(span.attributes, attributes)
            for event in events:
                _fill(span.events.add(name=name).attributes, event)
    return request.SerializeToString()


@st.composite
def log_batches(draw: st.DrawFn) -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    _fill(group.resource.attributes, draw(maps))
    scope = group.scope_logs.add()
    nested = st.recursive(values, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(keys, v, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        record = scope.log_records.add(body=to_any_value(draw(nested)))
        _fill(record.attributes, draw(maps))
    return request.SerializeToString()


configs = st.fixed_dictionaries(
    {
        "allow_all_keys": st.just(True),
        "blocked_values": st.lists(st.one_of(st.sampled_from(REAL), patterns), max_size=3),
        "allowed_values": st.lists(st.one_of(st.sampled_from(REAL[:3]), patterns), max_size=1),
        "blocked_key_patterns": st.lists(st.sampled_from(["token", "^a$", r"\d+"]), max_size=1),
        "hash_function": st.sampled_from(["", "md5"]),
        "summary": st.sampled_from(["debug", "info", "silent"]),
    }
)


class _Everywhere(Redaction):
    """Looks at every row, and tries every pattern on every value."""

    def __init__(self, config: RedactionConfig) -> None:
        super().__init__(config, make_settings(Kind.PROCESSOR, "redaction"))
        self._scans = False
        self._searcher = self._policy._searcher = self._policy._finder = None
        self._policy._scanner = Scanner([])
        self._policy._scanner.unscanned.update(dict.fromkeys(range(len(config.blocked_values) + 1), "in this test"))


@settings(max_examples=300, deadline=None)
@given(
    configs, st.one_of(trace_batches().map(lambda b: (Signal.TRACES, b)), log_batches().map(lambda b: (Signal.LOGS, b)))
)
def test_the_fast_path_gives_what_the_slow_one_gives(options: dict[str, Any], request_: tuple[Signal, bytes]) -> None:
    """Scanning first and looking closely at suspects only changes nothing, byte for byte, with either engine."""
    for pattern in (*options["blocked_values"], *options["allowed_values"]):
        _compiled(pattern)
    config = RedactionConfig(**options)
    signal, data = request_
    slow = _Everywhere(config).process(Batch(signal, data)).to_json()
    for use_hyperscan in (True, False):
        fast = Redaction(config, make_settings(Kind.PROCESSOR, "redaction"), use_hyperscan=use_hyperscan)
        assert fast.process(Batch(signal, data)).to_json() == slow


def test_values_at_every_place_of_a_long_request_are_found() -> None:
    """A few needles in a large haystack, with lengths around those of the length prefix, are all masked."""
    rng = random.Random(1)
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    needle = "4111111111111111"
    for number in range(300):
        filler = "".join(rng.choices(string.ascii_letters + string.digits + "  ", k=number))
        place = rng.randrange(number + 1)
        text = f"{filler[:place]} {needle} {filler[place:]}" if number % 3 else needle
        _fill(scope.spans.add().attributes, {"text": text})
    config = RedactionConfig(allow_all_keys=True, blocked_values=[REAL[1]])
    batch = Redaction(config, make_settings(Kind.PROCESSOR, "redaction")).process(
        Batch(Signal.TRACES, request.SerializeToString())
    )
    assert needle.encode() not in batch.to_otlp()
    assert batch.item_count == 300


@settings(max_examples=200, deadline=None)
@given(patterns.filter(lambda p: "(?" not in p and "\\" not in p), texts)
def test_replacing_agrees_with_re2_where_rules_do_not_differ(pattern: str, text: str) -> None:
    """For patterns that never match the empty string, Go, RE2 and Python replace alike."""
    exact = _compiled(pattern)
    value = text.encode()
    assume(not any(m.start() == m.end() for m in re2.finditer(pattern, value)))
    assert exact.replace(value, lambda _: b"*") == re2.sub(pattern, lambda _: b"*", value)


@given(st.text("ab\n\ré世", max_size=12))
def test_lines_are_masked_as_by_a_pattern(text: str) -> None:
    """Masking a whole value is what replacing ``.*`` is."""
    value = text.encode()
    policy = Policy(RedactionConfig(), Scanner([]))
    assert policy._each_line(value) == Pattern(".*").replace(value, lambda _: b"****")
