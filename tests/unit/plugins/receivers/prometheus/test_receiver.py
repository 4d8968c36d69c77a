"""The ``prometheus`` receiver against real HTTP targets."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.metric_points import Point, points_of
from tests.support.receivers import Receiving, receiving
from tests.support.scrape_target import OPENMETRICS, ScrapeTarget
from untrace_pipeline.api import PermanentError, RetryableError, StartError
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import FailingSink
from untrace_plugins.receivers.prometheus import FACTORY
from untrace_plugins.receivers.prometheus import receiver as module
from untrace_plugins.receivers.prometheus.discovery import Target


@asynccontextmanager
async def scraping(*targets: ScrapeTarget, sink: Any = None, **job: Any) -> AsyncIterator[Receiving]:
    """Scrape targets twenty times a second."""
    static = [{"targets": [one.address for one in targets]}] if targets else []
    options = {"job_name": "test", "scrape_interval": "50ms", "static_configs": static, **job}
    config = {"config": {"scrape_configs": [options]}}
    async with receiving(FACTORY, config, signals=[Signal.METRICS], sink=sink) as running:
        yield running


def points(running: Receiving, metric: str) -> list[Point]:
    return [one for one in points_of(running.sink.batches) if one.metric == metric]


def scrapes(running: Receiving, outcome: str) -> float:
    return running.meter.value("receiver_prometheus_scrapes", outcome=outcome)


async def test_scrapes_again_and_again() -> None:
    """Each target is asked at its interval, in the formats that we read, and its metrics are handed on."""
    async with ScrapeTarget("a 1\n") as target, scraping(target, params={"x": ["1", "2"]}) as running:
        await running.until(lambda: scrapes(running, "success") >= 3)
        [request, *_] = target.requests
        assert (request.path, request.query_string) == ("/metrics", "x=1&x=2")
        assert request.headers["Accept"].startswith("application/openmetrics-text;version=1.0.0;q=0.4,")
        assert request.headers["Accept-Encoding"] == "gzip"
        assert float(request.headers["X-Prometheus-Scrape-Timeout-Seconds"]) == 0.05
        assert [one.value for one in points(running, "a")[:3]] == [1, 1, 1]
        assert running.meter.value("receiver_prometheus_targets") == 1


async def test_other_path() -> None:
    """``metrics_path`` says where metrics are."""
    async with ScrapeTarget() as target, scraping(target, metrics_path="/stats") as running:
        await running.until(lambda: scrapes(running, "success"))
        assert target.requests[0].path == "/stats"


@pytest.mark.parametrize(("follow", "up"), [(True, 1), (False, 0)])
async def test_redirects(follow: bool, up: int) -> None:
    """A target may send us elsewhere, unless ``follow_redirects`` is false."""
    async with ScrapeTarget() as there, ScrapeTarget() as target:
        target.status, target.headers = 302, {"Location": f"http://{there.address}/metrics"}
        async with scraping(target, follow_redirects=follow) as running:
            await running.until(lambda: points(running, "up"))
            assert points(running, "up")[0].value == up
        assert bool(there.requests) == follow


async def test_format_is_what_the_target_says() -> None:
    """OpenMetrics is read as such."""
    async with ScrapeTarget("# TYPE a counter\na_total 1\n# EOF\n", OPENMETRICS) as target, scraping(target) as running:
        await running.until(lambda: points(running, "a_total"))
        assert points(running, "a_total")[0].data.start_time_unix_nano > 0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 500}, "it answered 500"),
        ({"text": "<html>"}, "line 1"),
        ({"delay": 30.0}, "did not answer within"),
        ({"text": "# x\n" * 1000}, "larger than 1000 bytes"),
    ],
)
async def test_target_that_is_down(fault: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, counted, and shown as ``up`` 0; the next scrape comes all the same."""
    async with ScrapeTarget("a 1\n") as target:
        for name, value in fault.items():
            setattr(target, name, value)
        async with scraping(target, body_size_limit=1000) as running:
            await running.until(lambda: scrapes(running, "failed") >= 3)
            assert points(running, "up")[0].value == 0
            assert [record.getMessage() for record in caplog.records if said in record.getMessage()][1:] == []
            assert said in caplog.text


async def test_target_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    """No answer at all is no crash."""
    async with scraping(static_configs=[{"targets": ["127.0.0.1:1"]}]) as running:
        await running.until(lambda: scrapes(running, "failed") >= 2)
    assert "it did not answer" in caplog.text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"basic_auth": {"username": "me", "password": "secret-1"}},
            "Basic " + base64.b64encode(b"me:secret-1").decode(),
        ),
        ({"authorization": {"credentials": "secret-1"}}, "Bearer secret-1"),
        ({"authorization": {"type": "Token", "credentials_file": "{file}"}}, "Token from-file"),
        (
            {"basic_auth": {"username": "me", "password_file": "{file}"}},
            "Basic " + base64.b64encode(b"me:from-file").decode(),
        ),
    ],
)
async def test_credentials(
    options: dict[str, Any], expected: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are sent, and never said."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "file").write_text("from-file\n")
    given = json.loads(json.dumps(options).replace("{file}", str(tmp_path / "file")))
    async with ScrapeTarget() as target, scraping(target, **given) as running:
        target.status = 401
        await running.until(lambda: target.requests)
        assert target.requests[0].headers["Authorization"] == expected
    assert "secret-1" not in caplog.text
    assert "secret-1" not in repr(
        FACTORY.config.model_validate({"config": {"scrape_configs": [{"job_name": "x", **given}]}})
    )


async def test_missing_file_of_credentials_is_a_start_error(tmp_path: Path) -> None:
    """The message names it."""
    with pytest.raises(StartError, match=r"cannot read .*/none"):
        async with scraping(authorization={"credentials_file": str(tmp_path / "none")}):
            pass


async def test_targets_of_files_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of a file changes the targets; one that is gone is marked as stale. Nonsense changes nothing."""
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.02)
    file = tmp_path / "targets.yml"
    async with ScrapeTarget("a 1\n") as one, ScrapeTarget("b 1\n") as other:
        file.write_text(json.dumps([{"targets": [one.address], "labels": {"env": "test"}}]))
        relabel = [{"source_labels": ["__meta_filepath"], "regex": ".*/(.*)", "target_label": "file"}]
        discovery = [{"files": [str(tmp_path / "*.yml")]}]
        async with scraping(file_sd_configs=discovery, relabel_configs=relabel) as running:
            await running.until(lambda: points(running, "a"))
            assert points(running, "a")[0].attributes == {"env": "test", "file": "targets.yml"}
            _replace(file, "{nonsense")
            _replace(file, json.dumps([{"targets": [other.address]}]))
            await running.until(lambda: points(running, "b"))
            await running.until(lambda: points(running, "a")[-1].data.flags)
            assert running.meter.value("receiver_prometheus_targets") == 1
            file.unlink()
            await running.until(lambda: running.meter.value("receiver_prometheus_targets") == 0)


def _replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


async def test_relabelling_of_targets() -> None:
    """Rules see the address and what the URL is made of, and may change all of it."""
    rules = [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"source_labels": ["__param_target"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": "{address}"},
        {"target_label": "__metrics_path__", "replacement": "/probe"},
        {"source_labels": ["instance"], "regex": "drop.*", "action": "drop"},
    ]
    async with ScrapeTarget("a 1\n") as target:
        given = json.loads(json.dumps(rules).replace("{address}", target.address))
        static = [{"targets": ["far.example:1", "drop.example:1"]}]
        async with scraping(static_configs=static, relabel_configs=given) as running:
            await running.until(lambda: points(running, "a"))
            assert running.meter.value("receiver_prometheus_targets") == 1
        assert target.requests[0].rel_url.raw_path_qs == "/probe?target=far.example%3A1"
        assert points(running, "a")[0].resource["service.instance.id"] == "far.example:1"


async def test_refused_scrape_is_offered_until_the_next_is_due() -> None:
    """What the pipelines refuse for now comes again; what they refuse for good, or too long, is dropped and counted."""
    sink = FailingSink([RetryableError("full", retry_after=0.001), PermanentError("never")])
    async with ScrapeTarget("a 1\n") as target, scraping(target, sink=sink) as running:
        await running.until(lambda: scrapes(running, "success") >= 2)
        assert scrapes(running, "dropped") == 1
        assert scrapes(running, "failed") == 0


async def test_large_answers_are_read_beside_the_loop() -> None:
    """A target with many series does not hold up anything else."""
    text = "".join(f'a{{n="{number}"}} {number}\n' for number in range(20000))
    async with ScrapeTarget(text) as target, scraping(target, scrape_interval="1s", scrape_timeout="1s") as running:
        await running.until(lambda: scrapes(running, "success") >= 1)
        assert len(points(running, "a")) >= 20000


def test_targets_are_spread_over_the_interval() -> None:
    """Each has a moment of its own, the same in every process."""
    targets = [Target(f"http://host-{number}:1/metrics", (), 60.0, 10.0) for number in range(200)]
    phases = sorted(target.phase() for target in targets)
    assert max(later - earlier for earlier, later in itertools.pairwise(phases)) < 0.1
    assert targets[0].phase() == Target("http://host-0:1/metrics", (), 60.0, 10.0).phase()


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda job: job.update(scrape_interval="1s", scrape_timeout="2s"), "scrape_timeout"),
        (lambda job: job.update(scrape_timeout="2h"), "scrape_timeout of job x"),
        (
            lambda job: job.update(basic_auth={}, authorization={"credentials": "x"}),
            "either basic_auth or authorization",
        ),
        (lambda job: job.update(authorization={}), "either credentials or credentials_file"),
        (lambda job: job.update(authorization={"type": "basic", "credentials": "x"}), "basic_auth"),
        (lambda job: job.update(static_configs=[{"targets": ["http://a:1/x"]}]), "host:port without a path"),
        (lambda job: job.update(static_configs=[{"targets": ["a:1"], "labels": {"a-b": "c"}}]), "names of labels"),
        (lambda job: job.update(file_sd_configs=[{"files": ["targets.txt"]}]), "ends in .json"),
        (lambda job: job.update(tls_config={"cert_file": "x"}), "key"),
        (lambda job: job.update(scrape_protocols=["PrometheusProto"]), "scrape_protocols"),
        (lambda job: job.update(kubernetes_sd_configs=[]), "kubernetes_sd_configs"),
    ],
)
def test_options_that_make_no_sense(change: Change, said: str) -> None:
    """What cannot work is a problem of the configuration."""
    job: dict[str, Any] = {"job_name": "x"}
    change(job)
    with pytest.raises(ValidationError, match=said):
        FACTORY.config.model_validate({"config": {"scrape_configs": [job]}})


def test_jobs_have_names_of_their_own() -> None:
    """As in Prometheus."""
    with pytest.raises(ValidationError, match="each job_name once: x"):
        FACTORY.config.model_validate({"config": {"scrape_configs": [{"job_name": "x"}, {"job_name": "x"}]}})


async def test_shutdown_in_the_middle_of_a_scrape() -> None:
    """It ends at once, and leaves nothing behind."""
    async with ScrapeTarget() as target:
        target.delay = 30.0
        async with scraping(target, scrape_interval="20s", scrape_timeout="20s") as running:
            running.receiver._jobs[0]._discovery.targets()
            await asyncio.sleep(0)
