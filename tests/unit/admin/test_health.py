"""What the states of components mean for probes."""

from __future__ import annotations

from typing import Any

import pytest

from untrace_pipeline.admin.health import Health, HealthRules
from untrace_pipeline.api import Status, StatusEvent

RECEIVER, EXPORTER, OTHER = "receiver:otlp", "exporter:otlp", "exporter:file"


class States:
    """States that a test sets, and a clock."""

    def __init__(self, **rules: Any) -> None:
        self.now = 1000.0
        self.groups: dict[str, dict[str, StatusEvent]] = {"extensions": {}, "service": {}}
        self.health = Health(lambda: self.groups, HealthRules(**rules), lambda: self.now)

    def set(self, pipeline: str, component: str, status: Status, message: str = "") -> None:
        self.groups.setdefault(pipeline, {})[component] = StatusEvent(status, message, self.now)


def running(**rules: Any) -> States:
    """Return states where everything is well, in two pipelines."""
    states = States(**rules)
    for pipeline in ("traces", "logs/x"):
        for component in (RECEIVER, EXPORTER, OTHER):
            states.set(pipeline, component, Status.OK)
    states.set("extensions", "extension:health_check", Status.OK)
    states.set("service", "service:config", Status.OK)
    return states


def test_live_answers_as_the_collector() -> None:
    """The JSON is that of the Collector's ``health_check``; the uptime counts from when all had started."""
    states = running()
    states.now += 62.5
    assert states.health.live() == (
        200,
        {"status": "Server available", "upSince": "1970-01-01T00:16:40.000Z", "uptime": "1m2.5s"},
    )


@pytest.mark.parametrize("status", [Status.STARTING, Status.STOPPING, Status.STOPPED])
def test_live_only_while_all_pipelines_run(status: Status) -> None:
    """One component that is not there yet, or not any more, is enough."""
    states = running()
    states.set("logs/x", EXPORTER, status)
    code, body = states.health.live()
    assert (code, body["status"], body["uptime"]) == (503, "Server not available", "")


def test_errors_do_not_end_life_until_every_pipeline_is_dead() -> None:
    """A restart helps nobody while another pipeline works; when none does, it may."""
    states = running()
    states.set("traces", RECEIVER, Status.FATAL_ERROR)
    states.set("logs/x", EXPORTER, Status.PERMANENT_ERROR)
    assert states.health.live()[0] == 200
    states.set("logs/x", EXPORTER, Status.FATAL_ERROR)
    assert states.health.live()[0] == 503


def test_nothing_at_all_is_neither_live_nor_ready() -> None:
    """Before the graph is built there is nothing to be well."""
    states = States()
    assert states.health.live()[0] == 503
    assert states.health.ready() == (503, {"status": "not ready", "reasons": ["no pipeline runs"]})


def test_ready() -> None:
    """All pipelines run."""
    assert running().health.ready() == (200, {"status": "ready"})


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.STARTING, "starting"),
        (Status.STOPPING, "stopping"),
        (Status.STOPPED, "stopped"),
        (Status.FATAL_ERROR, "dead"),
    ],
)
def test_a_pipeline_that_does_not_run_is_not_ready(status: Status, word: str) -> None:
    """A healthy process with a dead pipeline is not reported ready, and the answer says why."""
    states = running()
    states.set("logs/x", RECEIVER, status, "task poll failed" if status is Status.FATAL_ERROR else "")
    code, body = states.health.ready()
    reason = f"pipeline logs/x: receiver:otlp is {word}"
    assert code == 503
    assert body["reasons"] == [reason + (" (task poll failed)" if status is Status.FATAL_ERROR else "")]


@pytest.mark.parametrize(
    ("rules", "errors", "ready"),
    [
        ({}, (Status.PERMANENT_ERROR, Status.PERMANENT_ERROR), True),
        ({"permanent": True}, (Status.PERMANENT_ERROR, Status.PERMANENT_ERROR), False),
        ({"permanent": True}, (Status.PERMANENT_ERROR, Status.OK), True),
        ({"permanent": True}, (Status.PERMANENT_ERROR, Status.RECOVERABLE_ERROR), True),
        ({"permanent": True, "recoverable": True}, (Status.PERMANENT_ERROR, Status.RECOVERABLE_ERROR), False),
    ],
)
def test_a_pipeline_that_can_deliver_nowhere(
    rules: dict[str, bool], errors: tuple[Status, Status], ready: bool
) -> None:
    """It is not ready if all its exporters fail, by the errors that the configuration counts."""
    states = running(**rules)
    for exporter, status in zip((EXPORTER, OTHER), errors, strict=True):
        states.set("traces", exporter, status, "no route")
    states.now += 300
    assert (states.health.ready()[0] == 200) is ready


def test_a_recoverable_error_counts_after_its_time() -> None:
    """A short outage takes nothing out of service."""
    states = running(recoverable=True, recovery_seconds=60.0)
    for exporter in (EXPORTER, OTHER):
        states.set("traces", exporter, Status.RECOVERABLE_ERROR, "no route")
    states.now += 59
    assert (states.health.ready()[0], states.health.status()[0]) == (200, 200)
    states.now += 1
    assert (states.health.ready()[0], states.health.status()[0]) == (503, 500)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.OK, 200),
        (Status.STARTING, 503),
        (Status.STOPPING, 503),
        (Status.STOPPED, 503),
        (Status.RECOVERABLE_ERROR, 200),
        (Status.PERMANENT_ERROR, 200),
        (Status.FATAL_ERROR, 500),
    ],
)
def test_status_codes(status: Status, code: int) -> None:
    """The mapping is that of ``healthcheckv2``, and the worst component decides."""
    states = running()
    states.set("traces", EXPORTER, status, "reason")
    answer, page = states.health.status()
    assert (answer, page["status"], page["healthy"]) == (code, status, code == 200)
    assert states.health.status("logs/x")[0] == 200


def test_permanent_errors_can_count() -> None:
    """Opt-in, as in the Collector."""
    states = running(permanent=True)
    states.set("traces", EXPORTER, Status.PERMANENT_ERROR, "401")
    assert states.health.status()[0] == 500
    assert states.health.status("traces")[1]["error"] == "401"


def test_verbose_lists_everything() -> None:
    """Pipelines and extensions with their components: state, time and message."""
    states = running()
    states.now = 2000.0
    states.set("traces", EXPORTER, Status.RECOVERABLE_ERROR, "no route")
    states.set("traces", RECEIVER, Status.OK, "grpc localhost:4317")
    _, page = states.health.status(verbose=True)
    assert set(page["components"]) == {"extensions", "pipeline:traces", "pipeline:logs/x"}
    assert page["start_time"] == "1970-01-01T00:16:40.000Z"
    traces = page["components"]["pipeline:traces"]
    assert (traces["status"], traces["healthy"]) == (Status.RECOVERABLE_ERROR, True)
    assert traces["components"][EXPORTER] == {
        "healthy": True,
        "status": "StatusRecoverableError",
        "status_time": "1970-01-01T00:33:20.000Z",
        "error": "no route",
    }
    assert traces["components"][RECEIVER]["message"] == "grpc localhost:4317"
    assert "components" not in states.health.status()[1]
    assert states.health.status("traces", verbose=True)[1]["components"] == traces["components"]


def test_a_failed_reload_is_shown_without_making_the_daemon_unhealthy() -> None:
    """Restarting would not help: the file is wrong, the running configuration is not."""
    states = running(recoverable=True, recovery_seconds=0.0)
    states.set("service", "service:config", Status.RECOVERABLE_ERROR, "reload failed: a.yaml:3:5 …")
    code, page = states.health.status()
    assert code == 200
    assert page["status"] == Status.OK
    assert page["config"]["error"] == "reload failed: a.yaml:3:5 …"


@pytest.mark.parametrize("name", ["metrics", "extensions", "service"])
def test_an_unknown_pipeline_is_not_found(name: str) -> None:
    """Groups that are no pipelines are not found either."""
    assert running().health.status(name) == (404, {"error": f"pipeline {name} does not exist"})


def test_a_dead_worker_is_not_ready_and_alive() -> None:
    """With several workers, one that is being started again is named; the others keep the service alive."""
    states = running()
    states.set("workers", "worker:0", Status.OK)
    states.set("workers", "worker:1", Status.STARTING, "was killed by SIGKILL; is started again in 2 s")
    assert states.health.ready() == (
        503,
        {
            "status": "not ready",
            "reasons": ["worker:1 is starting (was killed by SIGKILL; is started again in 2 s)"],
        },
    )
    assert states.health.live()[0] == 200
    code, page = states.health.status(verbose=True)
    assert code == 503
    assert {name: one["healthy"] for name, one in page["workers"].items()} == {"worker:0": True, "worker:1": False}
    assert "workers" not in page["components"]
    assert states.health.status("workers")[0] == 404


def test_workers_that_are_ready() -> None:
    """Nothing is wrong when all are there."""
    states = running()
    states.set("workers", "worker:0", Status.OK)
    assert states.health.ready() == (200, {"status": "ready"})
    assert states.health.status()[1]["workers"]["worker:0"]["status"] is Status.OK
