"""The supervisor's life: what it starts beside the workers, what it tells of them, how it reloads and ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.components import World, make_spec, new_world, until
from tests.support.logs import own_logging
from tests.support.workers import FakeWorker, Workshop
from untrace_pipeline.api import Status
from untrace_pipeline.config.loader import Loaded
from untrace_pipeline.config.model import ServiceSpec, TelemetryConfig
from untrace_pipeline.supervisor.supervisor import Supervisor

Play = Callable[[Callable[[Workshop], Awaitable[None]]], None]


@pytest.fixture
def world() -> World:
    """What the supervisor's own components do."""
    return new_world()


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """Where the supervisor logs; logging is as before afterwards."""
    with own_logging():
        yield tmp_path / "daemon.log"


def spec(log_file: Path, option: str = "1", workers: int = 2) -> ServiceSpec:
    """Return a configuration with an extension that stands for all workers."""
    telemetry = TelemetryConfig.model_validate(
        {"logs": {"output_paths": [str(log_file)]}, "metrics": {"level": "none"}}
    )
    made = make_spec(
        {"traces": (["fake/in"], [], ["fake/out"])},
        {"extension central": {"option": option}, "exporter fake/out": {"option": option}},
        extensions=["central"],
        telemetry=telemetry,
    )
    return replace(made, workers=workers)


async def started(
    workshop: Workshop, first: ServiceSpec, reload: Callable[[], Loaded] | None = None
) -> tuple[Supervisor, asyncio.Task[int]]:
    supervisor = Supervisor(Loaded(first), reload or (lambda: Loaded(first)), ("c.yaml",), (), workshop.launch)
    task = asyncio.create_task(supervisor.run())
    await until(lambda: task.done() or supervisor.metrics.value("config_last_reload_successful"))
    return supervisor, task


def test_a_life(play: Play, world: World, log_file: Path) -> None:
    """Its own extension runs before the first worker and after the last; one line sums up what was left."""

    async def scene(workshop: Workshop) -> None:
        supervisor, task = await started(workshop, spec(log_file))
        assert world.events == ["start extension central"]
        assert supervisor.metrics.value("pipeline_ready", pipeline="traces") == 1
        workshop.made[0].lost = {"exporter fake/out": 5}
        supervisor.request_stop("SIGTERM")
        assert await task == 0
        assert world.events == ["start extension central", "stop extension central"]

    play(scene)
    lines = [line.split(" ", 1)[1] for line in log_file.read_text().splitlines()]
    assert re.fullmatch(r"info  ready in \d+\.\d\d s: 2 workers; traces: fake/in > fake/out", lines[0])
    assert lines[1] == "info  SIGTERM: workers drain for at most 5 s"
    assert re.fullmatch(r"error all workers stopped in .* s; lost: 5 items of exporter fake/out", lines[2])
    assert len(lines) == 3


def test_states_are_those_of_all(play: Play, world: World, log_file: Path) -> None:
    """The own extension, the workers' components, the workers and the outcome of the last reload."""

    async def scene(workshop: Workshop) -> None:
        supervisor, task = await started(workshop, spec(log_file))
        groups = world.get("extension central").host.statuses()
        assert groups == supervisor.statuses()
        assert set(groups) == {"traces", "extensions", "service", "workers"}
        assert set(groups["extensions"]) == {"extension:central"}
        assert set(groups["workers"]) == {"worker:0", "worker:1"}
        assert set(groups["traces"]) == {"exporter:otlp"}
        workshop.made[0].kill()
        await until(lambda: not supervisor.metrics.value("pipeline_ready", pipeline="traces"))
        supervisor.request_stop("test")
        await task

    play(scene)


def test_metrics_are_those_of_all(play: Play, world: World, log_file: Path) -> None:
    """What workers counted, and what the supervisor itself did."""

    async def scene(workshop: Workshop) -> None:
        supervisor, task = await started(workshop, spec(log_file))
        workshop.made[0].sent, workshop.made[1].sent = 3, 4
        found = {spec.name: samples for spec, samples in await supervisor.collect()}
        assert found["exporter_sent_spans"][0].value == 7
        assert found["process_memory_rss"][0].value > 0
        supervisor.request_stop("test")
        await task

    play(scene)


@pytest.mark.parametrize("code", [1, 2])
def test_a_failed_start(play: Play, world: World, log_file: Path, code: int) -> None:
    """The exit code is the worker's, one line names it, and nothing runs any more."""

    async def begin(worker: FakeWorker) -> None:
        worker.end(code)
        await asyncio.Event().wait()

    async def scene(workshop: Workshop) -> None:
        workshop.begin = begin
        _, task = await started(workshop, spec(log_file))
        assert await task == code
        assert world.events[-1] == "stop extension central"

    play(scene)
    [line] = log_file.read_text().splitlines()
    assert line.endswith(f"ended with code {code} before any was ready; its own lines say why")


def test_a_reload_goes_round(play: Play, world: World, log_file: Path) -> None:
    """The supervisor's own extension and all workers get the new configuration; an equal one changes nothing."""

    async def scene(workshop: Workshop) -> None:
        contents = {Path("c.yaml"): b"second"}
        second = spec(log_file, "2")
        supervisor, task = await started(workshop, spec(log_file), lambda: Loaded(second, contents=contents))
        supervisor.request_reload()
        await until(lambda: supervisor.metrics.value("config_reloads", outcome="success"))
        assert [one.orders.contents for one in workshop.made] == [contents, contents]
        assert world.get("extension central").config.option == "2"
        assert supervisor.metrics.value("pipeline_ready", pipeline="traces") == 1
        supervisor.request_reload()
        await until(lambda: supervisor.metrics.value("config_reloads", outcome="unchanged"))
        supervisor.request_stop("test")
        await task

    play(scene)


def test_a_refused_reload(play: Play, world: World, log_file: Path) -> None:
    """What the first worker refuses nobody runs: log, status and metric say so, and the own extension goes back."""

    async def scene(workshop: Workshop) -> None:
        supervisor, task = await started(workshop, spec(log_file), lambda: Loaded(spec(log_file, "2")))
        workshop.made[0].refuses = "receiver otlp: cannot listen"
        supervisor.request_reload()
        await until(lambda: supervisor.metrics.value("config_reloads", outcome="failure"))
        assert supervisor.metrics.value("config_last_reload_successful") == 0
        event = supervisor.statuses()["service"]["service:config"]
        assert event.status is Status.RECOVERABLE_ERROR
        assert event.message == "reload failed: worker 0: receiver otlp: cannot listen"
        assert world.get("extension central").config.option == "1"
        assert world.get("extension central").running
        supervisor.request_stop("test")
        assert await task == 0

    play(scene)
    assert (
        "reload failed, the running configuration stays:\nworker 0: receiver otlp: cannot listen"
        in log_file.read_text()
    )


def test_another_number_of_workers(play: Play, world: World, log_file: Path) -> None:
    """A reload that changes nothing else starts or stops workers."""

    async def scene(workshop: Workshop) -> None:
        supervisor, task = await started(workshop, spec(log_file), lambda: Loaded(spec(log_file, workers=3)))
        supervisor.request_reload()
        await until(lambda: supervisor.metrics.value("config_reloads", outcome="success"))
        assert [index for index, _ in workshop.running()] == [0, 1, 2]
        supervisor.request_stop("test")
        await task

    play(scene)


def test_a_stop_during_the_start_and_a_second_one(play: Play, world: World, log_file: Path) -> None:
    """A signal before anybody is ready ends with 0; the next one hurries."""

    async def begin(_worker: FakeWorker) -> None:
        await asyncio.Event().wait()

    async def scene(workshop: Workshop) -> None:
        workshop.begin = begin
        supervisor = Supervisor(Loaded(spec(log_file)), lambda: Loaded(spec(log_file)), ("c",), (), workshop.launch)
        task = asyncio.create_task(supervisor.run())
        await until(lambda: len(workshop.made) == 2)
        supervisor.request_stop("SIGINT")
        await asyncio.sleep(1)
        supervisor.request_stop("SIGINT")
        assert await task == 0
        assert asyncio.get_running_loop().time() == pytest.approx(6, abs=0.5)

    play(scene)
    assert "SIGINT again: stopping without waiting" in log_file.read_text()
