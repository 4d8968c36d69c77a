"""The text formats, compared with the parsers of Prometheus' own Python library."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from untrace_plugins.receivers.prometheus import text as text_module
from untrace_plugins.receivers.prometheus.text import Line, Metadata, TextError, read_labels, read_text

Row = tuple[str, tuple[tuple[str, str], ...], float]


def exposed(*, openmetrics: bool) -> str:
    """Return what a program shows that has every kind of metric, and labels with everything in them."""
    registry = CollectorRegistry()
    counter = Counter("requests", "Requests.", ["path", "odd"], registry=registry)
    counter.labels("/", 'a"b\\c\nd,}{=#').inc(3)
    counter.labels("/ü", "").inc(1e10, exemplar={"trace_id": "0123456789abcdef0123456789abcdef"})
    Gauge("temperature_celsius", 'Degrees \\ "now".', registry=registry).set(-0.5)
    Histogram("latency_seconds", "Latency.", ["code"], registry=registry).labels("200").observe(0.3, {"span_id": "0a"})
    Summary("size_bytes", "Size.", registry=registry).observe(7)
    Info("build", "Build.", registry=registry).info({"version": "1.0"})
    Enum("state", "State.", states=["up", "down"], registry=registry).state("down")
    make = generate_openmetrics if openmetrics else generate_latest
    return str(make(registry).decode())


def rows(lines: Iterator[Line]) -> list[Row]:
    found = []
    for line in lines:
        labels = read_labels(line.series)
        found.append((labels.pop("__name__"), tuple(sorted(labels.items())), line.value))
    return sorted(found)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_reads_what_the_library_writes(openmetrics: bool) -> None:
    """Names, labels, values, types and helps are those that the library's own parser finds."""
    text = exposed(openmetrics=openmetrics)
    families = list((parse_openmetrics if openmetrics else parse_text)(text))
    expected = sorted(
        (sample.name, tuple(sorted(sample.labels.items())), sample.value) for one in families for sample in one.samples
    )
    metadata: dict[str, Metadata] = {}
    assert rows(read_text(text, metadata, openmetrics=openmetrics)) == expected
    for one in families:
        name = (
            one.name if openmetrics else next((n for n in (f"{one.name}_total", one.name) if n in metadata), one.name)
        )
        assert (metadata[name].type, metadata[name].help) == (one.type, one.documentation)


@pytest.mark.parametrize(
    ("line", "series", "value", "timestamp"),
    [
        ("a 1", {"__name__": "a"}, 1.0, None),
        ("a{} 1 1700000000000", {"__name__": "a"}, 1.0, 1_700_000_000_000),
        ('a  \t{ b = "c" , d="e" , } 1e3 5', {"__name__": "a", "b": "c", "d": "e"}, 1000.0, 5),
        ('a{b="c"}1', {"__name__": "a", "b": "c"}, 1.0, None),
        ('{"a.b",c="d","e f"="g"} 1', {"__name__": "a.b", "c": "d", "e f": "g"}, 1.0, None),
        ("a +Inf", {"__name__": "a"}, math.inf, None),
        ("a -Inf", {"__name__": "a"}, -math.inf, None),
        ("a 0x10", {"__name__": "a"}, 16.0, None),
        (":a:b 1", {"__name__": ":a:b"}, 1.0, None),
    ],
)
def test_lines(line: str, series: dict[str, str], value: float, timestamp: float | None) -> None:
    """Everything that Prometheus reads is read."""
    [found] = read_text(f"{line}\n\n", {}, openmetrics=False)
    assert (read_labels(found.series), found.value, found.timestamp) == (series, value, timestamp)


def test_nan() -> None:
    """A value may be none."""
    [found] = read_text("a NaN", {}, openmetrics=False)
    assert math.isnan(found.value)


def test_openmetrics_has_seconds_and_exemplars() -> None:
    """Timestamps are seconds there, and samples have exemplars."""
    [found] = read_text('a_total 1 2.5 # {trace_id="ab",x="y z"} 0.5 3\n# EOF\n', {}, openmetrics=True)
    assert found.timestamp == 2500
    assert found.exemplar == ({"trace_id": "ab", "x": "y z"}, 0.5, 3.0)


@pytest.mark.parametrize(
    ("text", "openmetrics", "said"),
    [
        ("a", False, "line 1: no sample"),
        ("a 1\nb\n", False, "line 2: no sample"),
        ("a one", False, "line 1: no number"),
        ("a 1 2 3", False, "line 1: no sample"),
        ("a 1_000", False, "line 1: no number"),
        ("a 0x" + "f" * 400, False, "line 1: no number"),
        ("a 1 -1", False, "line 1: a timestamp"),
        ("a 1 1e400", False, "line 1: a timestamp"),
        ("a 1 9223372036854775807", False, "line 1: a timestamp"),
        ("a 1 1700000000000\n# EOF\n", True, "line 1: a timestamp"),
        ("a_total 1 # {} 1 1e30\n# EOF\n", True, "line 1: a timestamp"),
        ("# TYPE a nonsense", False, "line 1: no type"),
        ('a{b="c" 1', False, "line 1: no sample"),
        ("1a 2", False, "line 1: no sample"),
        ("a 1 # {} 1", False, "line 1: an exemplar"),
        ("a_total 1 # {x} 1\n# EOF\n", True, "line 1: "),
        ("a 1\n", True, "cut off"),
        ("# EOF\na 1\n", True, "after # EOF"),
        ("<html>", False, "line 1: no sample"),
    ],
)
def test_what_is_no_text(text: str, openmetrics: bool, said: str) -> None:
    """An answer that is none is refused with the number of its line, and without its content."""
    with pytest.raises(TextError, match=said):
        list(read_text(text, {}, openmetrics=openmetrics))


@pytest.mark.parametrize("series", ["a{b}", 'a{b="c",b="d"}', '{b="c"}', 'a{b="c"d="e"}', 'a{="c"}'])
def test_labels_that_are_none(series: str) -> None:
    """Labels without value, without name, or twice there are refused."""
    with pytest.raises(TextError):
        read_labels(series)


@pytest.mark.parametrize("text", ["", "\n", "a 1", "a 1\n", "a 1\n\nb 2\n", "a 1\nbb 22\nccc 333\n", "\n\n\n\n"])
@pytest.mark.parametrize("size", [0, 1, 3, 4, 100])
def test_pieces_are_the_same_lines(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a text is divided, no line is lost, joined or cut."""
    monkeypatch.setattr(text_module, "PIECE_CHARACTERS", size)
    assert list(text_module._lines(text)) == text.split("\n")
