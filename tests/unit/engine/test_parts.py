"""Which components run in which process of a service with several workers."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from tests.support.components import make_spec
from untrace_pipeline.api import ComponentId, PipelineId, Workers
from untrace_pipeline.config.model import AUTO_WORKERS, MetricsLevel, ServiceSpec, TelemetryConfig
from untrace_pipeline.engine import describe, parts

TRACES, LOGS = PipelineId.parse("traces"), PipelineId.parse("logs")


def spec(**telemetry: object) -> ServiceSpec:
    """Return a configuration with something of each kind: once, for all workers, and ordinary."""
    return make_spec(
        {"traces": (["fake/in", "once/tail"], [], ["fake/out"]), "logs": (["once/tail"], [], ["fake/out"])},
        {"extension central/health": {"uses": ["fake/auth"]}, "extension fake/auth": {"uses": ["fake/keys"]}},
        extensions=["fake/keys", "fake/auth", "fake/other", "central/health"],
        telemetry=TelemetryConfig.model_validate(telemetry),
    )


def names(ids: tuple[ComponentId, ...]) -> list[str]:
    """Return ids as written."""
    return [str(one) for one in ids]


def test_the_supervisor_runs_what_stands_for_all_and_what_that_needs() -> None:
    """No pipelines; the extensions that answer for the service, with those that they name, in their order."""
    part = parts.supervisor_part(spec())
    assert part.pipelines == {}
    assert names(part.extensions) == ["fake/keys", "fake/auth", "central/health"]


@pytest.mark.parametrize(
    ("index", "traces", "logs"), [(0, ["fake/in", "once/tail"], ["once/tail"]), (1, ["fake/in"], [])]
)
def test_what_runs_once_runs_in_the_first_worker(index: int, traces: list[str], logs: list[str]) -> None:
    """The others have the same pipelines without it, even where nothing of theirs is left to receive."""
    part = parts.worker_part(spec(), Workers(index, 2))
    assert names(part.pipelines[TRACES].receivers) == traces
    assert names(part.pipelines[LOGS].receivers) == logs
    assert names(part.extensions) == ["fake/keys", "fake/auth", "fake/other"]
    assert names(tuple(parts.only_in_first(spec()))) == ["once/tail"]


def test_workers_are_told_apart() -> None:
    """The number is in each log line and in the instance's id; the page of metrics is the supervisor's."""
    part = parts.worker_part(spec(logs={"initial_fields": {"team": "a"}}), Workers(1, 2)).telemetry
    assert part.logs.initial_fields == {"worker": 1, "team": "a"}
    assert part.metrics.level is MetricsLevel.NONE
    assert describe.resource(part)["service.instance.id"] == f"{socket.gethostname()}-1"


def test_the_name_of_the_instance_is_the_users() -> None:
    """One that is configured gets the number too; one that was removed stays away."""
    named = parts.worker_part(spec(resource={"service.instance.id": "eu"}), Workers(1, 2)).telemetry
    assert describe.resource(named)["service.instance.id"] == "eu-1"
    removed = parts.worker_part(spec(resource={"service.instance.id": None}), Workers(1, 2)).telemetry
    assert "service.instance.id" not in describe.resource(removed)


@pytest.mark.parametrize(("wanted", "count"), [(3, 3), (1, 1), (AUTO_WORKERS, 7)])
def test_number_of_workers(wanted: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """``auto`` is what the machine has for this process."""
    monkeypatch.setattr(parts, "available_cpus", lambda: 7)
    assert parts.worker_count(replace(spec(), workers=wanted)) == count
