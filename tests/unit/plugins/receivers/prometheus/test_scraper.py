"""One target, scrape by scrape: what it shows becomes the metrics that the Collector makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.metric_points import Point, points_of
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.receivers.prometheus import scraper
from untrace_plugins.receivers.prometheus.config import ScrapeConfig
from untrace_plugins.receivers.prometheus.discovery import Target
from untrace_plugins.receivers.prometheus.fetch import Fetched, ScrapeError
from untrace_plugins.receivers.prometheus.scraper import LINES_PER_LOOK, OWN, Scraper
from untrace_plugins.receivers.prometheus.series import ADDED_AT_MOST, KEPT_SCRAPES, SeriesCache

NOW = 1_700_000_000.0
SECOND = 1_000_000_000


class Clock:
    """Time that passes only by being looked at."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step = 0.0

    def perf_counter(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(scraper, "time", found)
    return found


class Bench:
    """A target whose scrapes are ten seconds apart."""

    def __init__(self, **options: Any) -> None:
        external = options.pop("external", {})
        instance = options.pop("instance", "example.com:9100")
        labels = (("instance", instance), ("job", "node"))
        job = ScrapeConfig.model_validate({"job_name": "node", **options})
        self._scraper = Scraper(job, Target(f"http://{instance}/metrics", labels, 10.0, 5.0), external)
        self.number = 0
        self.error = ""

    def read(self, text: str | ScrapeError, *, openmetrics: bool = False) -> dict[str, list[Point]]:
        """Return the points of a scrape by metric."""
        fetched = text if isinstance(text, ScrapeError) else Fetched(text, openmetrics)
        scrape = self._scraper.read(fetched, NOW + 10 * self.number, 0.25)
        self.number += 1
        self.error = scrape.error
        return points(scrape.payload)

    def end(self) -> dict[str, list[Point]]:
        return points(self._scraper.end(NOW + 10 * self.number).payload)


def points(payload: bytes) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for point in points_of([Batch(Signal.METRICS, payload)]):
        found.setdefault(point.metric, []).append(point)
    return found


def own(found: dict[str, list[Point]]) -> dict[str, float]:
    """Return what is told of the scrape itself."""
    return {name: found[name][0].value for name in OWN}


def test_gauges_and_what_has_no_type() -> None:
    """They are gauges; the labels are attributes, the target the resource."""
    found = Bench().read('# HELP a Help.\n# TYPE a gauge\na{x="1",le="2",empty=""} 3\nb 4\n')
    [a] = found["a"]
    assert (a.value, a.attributes, a.data.time_unix_nano, a.data.start_time_unix_nano) == (
        3,
        {"x": "1", "le": "2"},
        int(NOW) * SECOND,
        0,
    )
    assert a.resource == {
        "service.name": "node",
        "service.instance.id": "example.com:9100",
        "server.address": "example.com",
        "server.port": "9100",
        "url.scheme": "http",
    }
    assert found["b"][0].value == 4


@pytest.mark.parametrize("instance", ["localhost:1", "127.0.0.1:1", "[::1]:1", "0.0.0.0:1"])
def test_address_that_says_nothing(instance: str) -> None:
    """An address that means another machine everywhere is left out."""
    assert "server.address" not in Bench(instance=instance).read("a 1")["a"][0].resource


def test_scrape_tells_of_itself() -> None:
    """``up`` and its companions come with every scrape."""
    bench = Bench(metric_relabel_configs=[{"source_labels": ["__name__"], "regex": "b", "action": "drop"}])
    assert own(bench.read("a 1\nb 1\nc 1\n")) == dict(zip(OWN, (1, 0.25, 3, 2, 2), strict=True))
    assert own(bench.read("a 1\nb 1\nd 1\n")) == dict(zip(OWN, (1, 0.25, 3, 2, 1), strict=True))


def test_counter_begins_when_it_is_first_seen_and_again_when_it_is_reset() -> None:
    """Monotonic and cumulative; a reset began after the scrape before."""
    bench = Bench()
    text = "# TYPE requests_total counter\nrequests_total {}\n"
    starts = []
    for value in (5, 7, 2, 3):
        [point] = bench.read(text.format(value))["requests_total"]
        assert point.value == value
        starts.append((point.data.start_time_unix_nano - int(NOW) * SECOND) // SECOND)
    assert starts == [0, 0, 10, 10]


def test_openmetrics_tells_when_a_counter_began() -> None:
    """``_created`` is the start, and no metric; units and helps are there."""
    text = (
        "# TYPE spent_seconds counter\n# UNIT spent_seconds seconds\n# HELP spent_seconds Time.\n"
        'spent_seconds_total 5.5 # {trace_id="0123456789abcdef0123456789abcdef",span_id="zz"} 0.5 1699999999.5\n'
        "spent_seconds_created 1699990000.5\n# EOF\n"
    )
    found = Bench().read(text, openmetrics=True)
    [point] = found["spent_seconds_total"]
    assert (point.value, point.unit, point.data.start_time_unix_nano) == (5.5, "s", 1_699_990_000_500_000_000)
    [exemplar] = point.data.exemplars
    assert exemplar.trace_id.hex() == "0123456789abcdef0123456789abcdef"
    assert (exemplar.span_id, [one.key for one in exemplar.filtered_attributes]) == (b"", ["span_id"])
    assert (exemplar.as_double, exemplar.time_unix_nano) == (0.5, 1_699_999_999_500_000_000)
    assert found.keys() - set(OWN) == {"spent_seconds_total"}


@pytest.mark.parametrize("created", ["NaN", "-5", "1e300", "18446744073709551616"])
def test_start_that_is_no_time_is_unknown(created: str) -> None:
    """The counter began when it was first seen, then."""
    text = f"# TYPE spent counter\nspent_total 5\nspent_created {created}\n# EOF\n"
    [point] = Bench().read(text, openmetrics=True)["spent_total"]
    assert point.data.start_time_unix_nano == point.data.time_unix_nano


HISTOGRAM = """# TYPE latency histogram
latency_bucket{code="200",le="0.5"} 2
latency_bucket{code="200",le="+Inf"} 5
latency_bucket{code="200",le="0.1"} 1
latency_sum{code="200"} 3.5
latency_count{code="200"} 5
"""


def test_histogram() -> None:
    """Buckets are counted each by itself, in order of their bounds."""
    [point] = Bench().read(HISTOGRAM)["latency"]
    data = point.data
    assert (point.attributes, list(data.explicit_bounds), list(data.bucket_counts)) == (
        {"code": "200"},
        [0.1, 0.5],
        [1, 1, 3],
    )
    assert (data.count, data.sum, data.start_time_unix_nano) == (5, 3.5, int(NOW) * SECOND)


def test_histogram_without_a_count_says_nothing() -> None:
    """The count is what a histogram cannot be without."""
    assert "latency" not in Bench().read("\n".join(HISTOGRAM.splitlines()[:-1]))


def test_summary() -> None:
    """Quantiles, sum and count are one point."""
    text = '# TYPE size summary\nsize{quantile="0.9"} 7\nsize{quantile="0.5"} 3\nsize_sum 12\nsize_count 4\n'
    [point] = Bench().read(text)["size"]
    assert [(one.quantile, one.value) for one in point.data.quantile_values] == [(0.5, 3), (0.9, 7)]
    assert (point.data.sum, point.data.count) == (12, 4)


def test_info_and_states_are_sums_that_go_both_ways() -> None:
    """As in the Collector: non-monotonic sums of ones."""
    text = '# TYPE build info\nbuild_info{v="1"} 1\n# TYPE state stateset\nstate{state="up"} 1\n# EOF\n'
    found = Bench().read(text, openmetrics=True)
    assert (found["build"][0].attributes, found["state"][0].attributes) == ({"v": "1"}, {"state": "up"})


def stale(found: dict[str, list[Point]]) -> set[str]:
    return {name for name, some in found.items() if any(one.data.flags == 1 for one in some)}


def test_series_that_is_gone_is_marked_once() -> None:
    """So that nobody draws on its last value."""
    bench = Bench()
    bench.read(f"a 1\nb 1\n{HISTOGRAM}")
    found = bench.read("a 1\n")
    assert stale(found) == {"b", "latency"}
    assert list(found["latency"][0].data.bucket_counts) == [0, 0, 0]
    assert stale(bench.read("a 1\n")) == set()


def test_target_that_is_down_has_no_series() -> None:
    """``up`` is 0 and all series are marked, until it is back."""
    bench = Bench()
    bench.read("# TYPE c_total counter\nc_total 1\na 1\n")
    found = bench.read(ScrapeError("it did not answer"))
    assert own(found) == dict(zip(OWN, (0, 0.25, 0, 0, 0), strict=True))
    assert stale(found) == {"c_total", "a"}
    assert bench.error == "it did not answer"
    assert own(bench.read("a 1\n"))["up"] == 1
    assert bench.error == ""


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("a 1\nnonsense here and there\n", {}, "line 2"),
        ("a 1\nb 1\n", {"sample_limit": 1}, "sample_limit"),
        ('a{b="c",d="e"} 1', {"label_limit": 4}, "label_limit"),
        ('a{bbbbbbbbbbbb="c"} 1', {"label_name_length_limit": 10}, "longer than 10"),
        ('a{b="cccccccccccccccccccccccc"} 1', {"label_value_length_limit": 20}, "longer than 20"),
    ],
)
def test_scrape_that_fails(text: str, options: dict[str, Any], said: str) -> None:
    """What cannot be read, or is too much, counts as nothing: the target is down, and the error says why."""
    bench = Bench(**options)
    found = bench.read(text)
    assert found["up"][0].value == 0
    assert found.keys() == set(OWN)
    assert said in bench.error


def test_series_with_timestamps_are_not_remembered_for_ever() -> None:
    """Nothing says that they are gone; a gap of a few scrapes changes nothing."""
    bench = Bench()
    before = bench.read(f'# TYPE a counter\na{{b="stays"}} 1 {int(NOW * 1000)}\n')["a"][0]
    for number in range(5 * KEPT_SCRAPES):
        bench.read(f'# TYPE a counter\na{{b="{number}"}} 1 {int(NOW * 1000)}\n')
        if number == KEPT_SCRAPES - 3:
            again = bench.read(f'# TYPE a counter\na{{b="stays"}} 2 {int(NOW * 1000) + 9}\n')["a"][0]
            assert again.data.start_time_unix_nano == before.data.start_time_unix_nano
    assert len(bench._scraper._starts) <= 2 * KEPT_SCRAPES


def test_scrapes_that_fail_do_not_fill_the_memory() -> None:
    """Whatever a target shows that is never read to its end, little of it is remembered."""
    cache = SeriesCache(ScrapeConfig(job_name="x"), {"job": "x", "instance": "y"}, {})
    for number in range(50):
        for other in range(100):
            cache.find(f'a{{b="{number}_{other}"}}')
        cache.forget(whole=False)
    assert len(cache) <= ADDED_AT_MOST + 300
    cache.find("a")
    cache.forget(whole=True)
    assert len(cache) == 1


def test_target_that_goes_away_is_marked() -> None:
    """With ``up``, too."""
    bench = Bench()
    bench.read("a 1\n")
    assert stale(bench.end()) == {"a", *OWN}


def test_labels_of_target_and_scrape() -> None:
    """Ours win, and the target's are kept under another name; or the other way, as for federation."""
    text = 'a{job="theirs",instance="far:1",x="y"} 1'
    [ours] = Bench().read(text)["a"]
    assert ours.attributes == {"exported_job": "theirs", "exported_instance": "far:1", "x": "y"}
    [theirs] = Bench(honor_labels=True).read(text)["a"]
    assert theirs.attributes == {"x": "y"}
    assert (theirs.resource["service.name"], theirs.resource["service.instance.id"]) == ("theirs", "far:1")


def test_timestamps_of_the_target() -> None:
    """They count if they are to be honoured; such series are not marked as stale unless that is asked for."""
    bench = Bench()
    [point] = bench.read("a 1 1600000000123")["a"]
    assert point.data.time_unix_nano == 1_600_000_000_123_000_000
    assert stale(bench.read("b 1")) == set()
    [ignored] = Bench(honor_timestamps=False).read("a 1 1600000000123")["a"]
    assert ignored.data.time_unix_nano == int(NOW) * SECOND
    tracking = Bench(track_timestamps_staleness=True)
    tracking.read("a 1 1600000000123")
    assert stale(tracking.read("b 1")) == {"a"}


def test_target_info_describes_the_resource() -> None:
    """Its labels are attributes of the resource, and it is no metric."""
    found = Bench().read('# TYPE target info\ntarget_info{region="eu"} 1\na 1\n# EOF\n', openmetrics=True)
    assert found["a"][0].resource["region"] == "eu"
    assert found.keys() == {"a", *OWN}


def test_scopes_are_scopes() -> None:
    """Labels ``otel_scope_…`` name and describe the scope; what has none is of the receiver's."""
    text = 'a{otel_scope_name="lib",otel_scope_version="2",otel_scope_x="y",b="c"} 1\n'
    payload = Bench()._scraper.read(Fetched(text, openmetrics=False), NOW, 0.1).payload
    [group] = ExportMetricsServiceRequest.FromString(payload).resource_metrics
    assert {one.scope.name for one in group.scope_metrics} == {"lib", "untrace-pipeline/prometheus"}
    [scope] = [one for one in group.scope_metrics if one.scope.name == "lib"]
    assert (scope.scope.version, [one.key for one in scope.scope.attributes]) == ("2", ["x"])
    assert [one.key for one in scope.metrics[0].gauge.data_points[0].attributes] == ["b"]


def test_external_labels_and_relabelling_of_samples() -> None:
    """Samples are renamed, and get labels; those of the scrape itself are not renamed."""
    rules = [{"source_labels": ["__name__"], "regex": "old_(.*)", "target_label": "__name__", "replacement": "new_$1"}]
    found = Bench(metric_relabel_configs=rules, external={"cluster": "eu"}).read("old_a 1")
    assert found["new_a"][0].attributes == {"cluster": "eu"}
    assert found["up"][0].attributes == {"cluster": "eu"}


def test_series_twice_in_a_scrape() -> None:
    """The first counts, as in Prometheus."""
    assert [one.value for one in Bench().read("a 1\na 2\n")["a"]] == [1]


def test_series_that_are_gone_are_forgotten() -> None:
    """Labels that change for ever cost no memory for ever."""
    bench = Bench()
    for number in range(50):
        bench.read(f'# TYPE a_total counter\na_total{{pod="{number}"}} 1\n')
    assert len(bench._scraper._cache._known) == 1
    assert len(bench._scraper._starts) == 1


def test_reading_has_an_end(clock: Clock) -> None:
    """An answer that takes longer to read than the target's time is a failure; the next scrape goes on from there."""
    bench = Bench()
    text = "".join(f'a{{n="{number}"}} 1\n' for number in range(10 * LINES_PER_LOOK))
    bench.read('a{n="0"} 1\n')
    clock.step = 2.0  # of five seconds, of which the target took 0.25
    found = bench.read(text)
    assert (
        bench.error == f"its answer was not read within 5 s (scrape_timeout): no more than {3 * LINES_PER_LOOK} samples"
    )
    assert own(found)["up"] == 0
    assert own(found)["scrape_duration_seconds"] == 8.25
    assert [point.attributes for point in found["a"] if point.data.flags] == [{"n": "0"}]
    clock.step = 0.0
    found = bench.read(text)
    assert own(found)["scrape_series_added"] == 7 * LINES_PER_LOOK + 1
    assert (own(found)["up"], len(found["a"])) == (1, 10 * LINES_PER_LOOK)


def test_small_answers_are_always_read(clock: Clock) -> None:
    """However late it is."""
    clock.step = 100.0
    bench = Bench()
    bench.read("a 1\n" * (LINES_PER_LOOK - 1))
    assert not bench.error
