"""What is written onto resources, and what happens when detection goes wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.metadata_server import metadata_server
from untrace_pipeline.api import Kind
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal
from untrace_pipeline.testing import RecordingMeter, StubHost, make_batch, make_settings, run_with_fake_clock
from untrace_plugins.processors.resource_detection.config import ResourceDetectionConfig
from untrace_plugins.processors.resource_detection.machine_facts import Facts
from untrace_plugins.processors.resource_detection.processor import ResourceDetection

RUNS = "processor_resource_detection_runs"


class Detection:
    """The processor on a machine with this environment."""

    def __init__(self, root: Path, environ: dict[str, str], **options: Any) -> None:
        self.environ = environ
        self.meter = RecordingMeter()
        settings = make_settings(Kind.PROCESSOR, "resource_detection", meter=self.meter)

        def facts(session: aiohttp.ClientSession) -> Facts:
            return Facts(session, self.environ, root)

        self.processor = ResourceDetection(ResourceDetectionConfig.model_validate(options), settings, facts)
        self.host = StubHost()

    def write(self, batch: Batch) -> list[dict[str, Any]]:
        """Return the resources of a batch afterwards."""
        result = self.processor.process(batch)
        assert result is not None
        return Batch(result.signal, result.to_otlp()).column(Field(Level.RESOURCE, ATTRIBUTES))  # type: ignore[return-value]


@pytest.mark.parametrize("signal", list(Signal))
async def test_found_attributes_are_written(tmp_path: Path, signal: Signal) -> None:
    """Every resource of every signal gets them."""
    detection = Detection(tmp_path, {"OTEL_RESOURCE_ATTRIBUTES": "team=ml,host.name=box"}, detectors=["env"])
    await detection.processor.start(detection.host)
    resources = detection.write(make_batch(signal, 6, resources=2))
    assert [(one["team"], one["host.name"]) for one in resources] == [("ml", "box")] * 2
    assert detection.meter.value(RUNS, detector="env", outcome="found") == 1


@pytest.mark.parametrize(("override", "name"), [(True, "box"), (False, "test")])
async def test_override(tmp_path: Path, override: bool, name: str) -> None:
    """What a resource has already is written over, or stays; what it lacks comes either way."""
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "team=ml,host.name=box"}
    detection = Detection(tmp_path, environ, override=override)
    await detection.processor.start(detection.host)
    (resource,) = detection.write(make_batch())
    assert (resource["host.name"], resource["team"]) == (name, "ml")


async def test_first_detector_wins_and_lists_choose(tmp_path: Path) -> None:
    """Of the same attribute the first detector's counts; toggles and the list say what is written."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("m-1")
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "host.name=mine"}
    system = {"resource_attributes": {"host.id": {"enabled": True}, "os.type": {"enabled": False}}}
    detection = Detection(tmp_path, environ, detectors=["env", "system", "env"], system=system)
    await detection.processor.start(detection.host)
    (resource,) = detection.write(make_batch(resource={"other": 1}))
    assert (resource["host.name"], resource["host.id"]) == ("mine", "m-1")
    assert "os.type" not in resource
    only = Detection(tmp_path, environ, detectors=["env", "system"], attributes=["os.type"])
    await only.processor.start(only.host)
    (resource,) = only.write(make_batch())
    assert (resource["os.type"], resource["host.name"]) == ("linux", "test")


async def test_nothing_found_costs_nothing(tmp_path: Path) -> None:
    """Without attributes a request is passed on as it is, not even decoded."""
    detection = Detection(tmp_path, {}, detectors=["lambda", "container"])
    await detection.processor.start(detection.host)
    broken = Batch(Signal.TRACES, b"\xff")
    assert detection.processor.process(broken) is broken
    assert detection.meter.value(RUNS, outcome="nothing") == 2


async def test_failure_is_told_and_the_daemon_starts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A detector that fails leaves the others their say."""
    async with metadata_server(
        {"/latest/api/token": "t", "/latest/dynamic/instance-identity/document": {"region": "r"}}
    ) as server:
        environ = {"OTEL_RESOURCE_ATTRIBUTES": "nonsense"}
        detection = Detection(tmp_path, environ, detectors=["env", "ec2"], ec2={"endpoint": server.url})
        await detection.processor.start(detection.host)
    (resource,) = detection.write(make_batch())
    assert resource["cloud.region"] == "r"
    assert detection.meter.value(RUNS, detector="env", outcome="failed") == 1
    assert "detector env failed" in caplog.text


def test_slow_detector_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the timeout the daemon starts with what was found."""
    from untrace_plugins.processors.resource_detection import processor  # noqa: PLC0415
    from untrace_plugins.processors.resource_detection.attributes import DetectorName  # noqa: PLC0415

    async def hangs(_facts: Facts, _config: Any) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(processor, "DETECTORS", {**processor.DETECTORS, DetectorName.SYSTEM: hangs})

    async def scenario() -> None:
        detection = Detection(tmp_path, {"OTEL_RESOURCE_ATTRIBUTES": "a=1"}, detectors=["system", "env"], timeout="5s")
        await detection.processor.start(detection.host)
        assert detection.write(make_batch())[0]["a"] == "1"
        assert detection.meter.value(RUNS, detector="system", outcome="failed") == 1

    run_with_fake_clock(scenario())


def test_refresh_looks_again(tmp_path: Path) -> None:
    """With an interval, what changes is seen; a detector that finds nothing any more keeps what it had."""

    async def scenario() -> None:
        detection = Detection(tmp_path, {"OTEL_RESOURCE_ATTRIBUTES": "a=1"}, refresh_interval="1m")
        await detection.processor.start(detection.host)
        detection.environ = {"OTEL_RESOURCE_ATTRIBUTES": "a=2"}
        await asyncio.sleep(61)
        assert detection.write(make_batch())[0]["a"] == "2"
        detection.environ = {"OTEL_RESOURCE_ATTRIBUTES": "nonsense"}
        await asyncio.sleep(61)
        assert detection.write(make_batch())[0]["a"] == "2"
        await detection.processor.shutdown()

    run_with_fake_clock(scenario())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"detectors": ["moon"]}, "env"),
        ({"detectors": []}, "at least 1"),
        ({"timeout": "0s"}, "greater than 0"),
        ({"system": {"resource_attributes": {"host.nam": {"enabled": True}}}}, "did you mean host.name"),
        ({"ec2": {"tags": ["("]}}, "no regular expression"),
        ({"k8snode": {"auth_type": "none"}}, "serviceAccount"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], words: str) -> None:
    """Mistakes are named."""
    with pytest.raises(ValueError, match=words):
        ResourceDetectionConfig.model_validate(options)


def test_other_names_of_detectors() -> None:
    """Older names of the Collector, and ours, mean the same."""
    names = ["host", "gce", "k8s_node"]
    assert ResourceDetectionConfig.model_validate({"detectors": names}).detectors == ["system", "gcp", "k8snode"]
