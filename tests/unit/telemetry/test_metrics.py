"""Meters: labels filled in, children shared, gauges owned."""

from __future__ import annotations

import pytest

from untrace_pipeline.api import Aggregation, ComponentId, Kind, MetricKind, MetricSpec
from untrace_pipeline.telemetry import metrics as module
from untrace_pipeline.telemetry.metrics import Metrics

SPECS = (
    MetricSpec("events", MetricKind.COUNTER, "Events.", ("kind", "component", "reason")),
    MetricSpec("size", MetricKind.GAUGE, "Size.", ("exporter",)),
    MetricSpec("took_seconds", MetricKind.HISTOGRAM, "Time.", ("destination",), (1.0, 2.0)),
)
EXPORTER = ComponentId.parse(Kind.EXPORTER, "otlp/x")


def test_the_component_is_filled_in() -> None:
    """A component names only its own labels; explicit ones win."""
    metrics = Metrics(SPECS)
    meter = metrics.component_meter(EXPORTER)
    meter.counter("events", reason="a").add(2)
    meter.histogram("took_seconds").record(1.5)
    meter.histogram("took_seconds", destination="elsewhere").record(1.5)
    assert metrics.value("events", kind="exporter", component="otlp/x", reason="a") == 2
    assert metrics.value("took_seconds", destination="otlp/x") == 1
    assert metrics.value("took_seconds", destination="elsewhere") == 1


@pytest.mark.parametrize(
    ("name", "labels"),
    [("nope", {}), ("events", {}), ("events", {"reason": "a", "colour": "red"}), ("size", {"reason": "a"})],
)
def test_names_and_labels_outside_of_the_table_are_refused(name: str, labels: dict[str, str]) -> None:
    """A typo fails in the first test that creates the component, not in somebody's dashboard."""
    with pytest.raises(KeyError):
        Metrics(SPECS).component_meter(EXPORTER).counter(name, **labels)


def test_a_metric_has_one_kind() -> None:
    """A gauge cannot be had as a counter."""
    with pytest.raises(KeyError):
        Metrics(SPECS).component_meter(EXPORTER).counter("size")


def test_equal_labels_are_one_series() -> None:
    """Two instances of a processor, or one before and after a reload, go on counting in the same series."""
    metrics = Metrics(SPECS)
    for _ in range(2):
        metrics.component_meter(EXPORTER).counter("events", reason="a").add()
    assert metrics.value("events") == 2
    [(_, samples)] = metrics.snapshot()
    assert len(samples) == 1


def test_gauges_of_several_owners_add_up_until_they_close() -> None:
    """While a reload drains an old exporter, both queues show; afterwards the old one is gone."""
    metrics = Metrics(SPECS)
    old, new = metrics.component_meter(EXPORTER), metrics.component_meter(EXPORTER)
    old.gauge("size").set(3)
    new.gauge("size").observe_with(lambda: 4)
    assert metrics.value("size") == 7
    old.close()
    assert metrics.value("size") == 4
    new.close()
    assert metrics.snapshot() == []


def test_parts_of_a_component_count_as_one() -> None:
    """Counters are shared; gauges are added up or the greatest counts, and go with their part or with the whole."""
    oldest = MetricSpec("age_seconds", MetricKind.GAUGE, "Age.", ("exporter",), aggregation=Aggregation.MAX)
    metrics = Metrics((*SPECS, oldest))
    whole = metrics.component_meter(EXPORTER)
    one, other = whole.part(), whole.part()
    for part, value in ((one, 3), (other, 5)):
        part.counter("events", reason="a").add(value)
        part.gauge("size").set(value)
        part.gauge("age_seconds").set(value)
    assert metrics.value("events", reason="a") == 8
    assert (metrics.value("size"), metrics.value("age_seconds")) == (8, 5)
    other.close()
    assert (metrics.value("size"), metrics.value("age_seconds")) == (3, 3)
    whole.close()
    assert metrics.value("size") == 0
    assert metrics.value("events", reason="a") == 8


def test_a_gauge_that_fails_counts_as_zero_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One broken function does not take the whole page down."""
    metrics = Metrics(SPECS)
    metrics.component_meter(EXPORTER).gauge("size").observe_with(lambda: 1 / 0)
    assert metrics.value("size") == 0
    assert "metric size cannot be read" in caplog.text


def test_histogram_buckets_hold_their_upper_bound() -> None:
    """Values equal to a bound belong to its bucket, as Prometheus' ``le`` says."""
    metrics = Metrics(SPECS)
    histogram = metrics.component_meter(EXPORTER).histogram("took_seconds")
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        histogram.record(value)
    assert (histogram.counts, histogram.sum) == ([2, 2, 1], 14.0)


def test_labels_from_outside_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit, new combinations are counted together."""
    monkeypatch.setattr(module, "MAX_CHILDREN", 3)
    metrics = Metrics(SPECS)
    meter = metrics.component_meter(EXPORTER)
    for number in range(10):
        meter.counter("events", reason=str(number)).add()
    assert metrics.value("events") == 10
    assert metrics.value("events", reason="other") == 7


def test_plugins_declare_their_own() -> None:
    """The same declaration twice is fine, a different one of the same name is an error."""
    metrics = Metrics(SPECS)
    own = MetricSpec("own", MetricKind.COUNTER, "Own.", ("exporter",))
    metrics.declare([own])
    metrics.declare([own])
    metrics.component_meter(EXPORTER).counter("own").add()
    assert metrics.value("own", exporter="otlp/x") == 1
    with pytest.raises(ValueError, match="declared twice"):
        metrics.declare([MetricSpec("own", MetricKind.GAUGE, "Own.", ("exporter",))])


def test_sums_by_label() -> None:
    """Series are grouped by the labels asked for, whatever else distinguishes them."""
    metrics = Metrics(SPECS)
    for name, reason, amount in (("a", "x", 1), ("a", "y", 2), ("b", "x", 4)):
        metrics.meter(kind="exporter", component=name).counter("events", reason=reason).add(amount)
    assert metrics.sums("events", ("component",)) == {("a",): 3, ("b",): 4}
    assert metrics.sums("events", ("kind", "component"), reason="y") == {("exporter", "a"): 2}


def test_values_are_brought_up_to_date_before_a_scrape() -> None:
    """What is read from the system is read when somebody looks."""
    metrics = Metrics(SPECS)
    counter = metrics.component_meter(EXPORTER).counter("events", reason="a")
    metrics.before_scrape(lambda: counter.add(5))
    [(_, [sample])] = metrics.snapshot()
    assert sample.value == 5
