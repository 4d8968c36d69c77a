"""The service as a whole: start, signals, reload, drain, exit code, and what it says."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.components import World, make_spec, until
from untrace_pipeline import native
from untrace_pipeline.api import Status
from untrace_pipeline.config.diagnostics import Problem
from untrace_pipeline.config.loader import Loaded
from untrace_pipeline.config.model import RuntimeConfig, ServiceSpec, TelemetryConfig
from untrace_pipeline.engine.service import Service, run_service
from untrace_pipeline.errors import ConfigError, PluginError
from untrace_pipeline.testing import make_batch

CHAIN = {"traces": (["fake/in"], [], ["fake/out"])}


def quiet(log_file: Path, **metrics: Any) -> TelemetryConfig:
    """Log to a file, and open no port unless asked to."""
    return TelemetryConfig.model_validate(
        {"logs": {"output_paths": [str(log_file)]}, "metrics": metrics or {"level": "none"}}
    )


def never() -> Loaded:
    raise AssertionError("nobody asked for a reload")


async def started(spec: ServiceSpec, reload: Callable[[], Loaded] = never) -> tuple[Service, asyncio.Task[int]]:
    service = Service(Loaded(spec), reload)
    task = asyncio.create_task(service.run())
    await until(lambda: task.done() or service.is_ready())
    return service, task


async def test_runs_until_asked_to_stop_and_returns_0(world: World, log_file: Path) -> None:
    """One line says that it is ready and what runs, one that it stops, one what was left."""
    spec = make_spec(
        {"traces": (["fake/in"], ["odd"], ["fake/a", "fake/b"])},
        {"receiver fake/in": {"option": "x"}},
        telemetry=quiet(log_file),
    )
    service, task = await started(spec)
    service.request_stop("SIGTERM")
    assert await task == 0
    lines = [line.split(" ", 1)[1] for line in log_file.read_text().splitlines()]
    assert lines[0] == f"info  runtime: {native.summary()}"
    assert re.fullmatch(r"info  ready in \d+\.\d\d s: traces: fake/in > odd > fake/a \+ fake/b", lines[1])
    assert lines[2] == "info  SIGTERM: draining for at most 5 s"
    assert lines[3:5] == [f"info  ledger: exporter fake/{name}: accepted 0 = 0" for name in "ab"]
    assert re.fullmatch(r"info  stopped in \d\.\d\d s; nothing was left", lines[5])
    assert len(lines) == 6


async def test_what_is_native_is_told(world: World, log_file: Path) -> None:
    """The log, the state of the service and a metric say which implementation of each part runs, and why."""
    service, task = await started(make_spec(CHAIN, telemetry=quiet(log_file)))
    event = service.statuses()["service"]["service:runtime"]
    assert (event.status, event.message) == (Status.OK, native.summary())
    for part, choice in native.choices().items():
        labels = {"part": part, "implementation": choice.name, "reason": choice.reason}
        assert service.metrics.value("runtime_info", **labels) == 1
    service.request_stop("test")
    assert await task == 0


async def test_a_forced_part_that_is_missing_ends_the_start(
    world: World, log_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made or started; the command line shows the message and ends with 2."""
    monkeypatch.setattr(native, "_made", {})
    monkeypatch.setattr(native, "_configured", {})
    monkeypatch.setattr(native, "_extension", lambda: (None, "nothing is installed"))
    monkeypatch.delenv("UNTRACE_PIPELINE_CODEC", raising=False)
    runtime = RuntimeConfig(codec="native")
    spec = replace(make_spec(CHAIN, telemetry=quiet(log_file)), runtime=runtime)
    with pytest.raises(PluginError, match=r"service\.runtime\.codec asks .* nothing is installed"):
        await Service(Loaded(spec), never).run()
    assert world.made == {}


async def test_what_is_native_changes_with_a_restart_only(
    world: World, log_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload that asks for something else is told so, and everything else of it happens."""
    monkeypatch.setattr(native, "_made", {native.Part.CODEC: native.Choice("native", "test")})
    monkeypatch.setattr(native, "_configured", {})
    monkeypatch.setattr(native, "_extension", lambda: (native, "test"))
    monkeypatch.setattr(native, "_NAMES", dict.fromkeys(native.Part, ()))
    monkeypatch.delenv("UNTRACE_PIPELINE_CODEC", raising=False)
    first = make_spec(CHAIN, telemetry=quiet(log_file))
    other = make_spec({"traces": (["fake/in"], [], ["fake/new"])}, telemetry=quiet(log_file))
    wish = replace(other, runtime=RuntimeConfig(codec="upb"))
    service, task = await started(first, lambda: Loaded(wish))
    service.request_reload()
    await until(lambda: service.metrics.value("config_reloads", outcome="success"))
    expected = "service.runtime.codec: this process goes on with native; the change takes a restart"
    assert expected in log_file.read_text()
    assert world.get("exporter fake/new").running
    service.request_stop("test")
    assert await task == 0


async def test_the_number_of_processes_changes_with_a_restart_only(world: World, log_file: Path) -> None:
    """A single process has no supervisor that could start others; everything else of the reload happens."""
    first = make_spec(CHAIN, telemetry=quiet(log_file))
    other = make_spec({"traces": (["fake/in"], [], ["fake/new"])}, telemetry=quiet(log_file))
    service, task = await started(first, lambda: Loaded(replace(other, workers=4)))
    service.request_reload()
    await until(lambda: service.metrics.value("config_reloads", outcome="success"))
    assert "service.workers: one process goes on, not 4; the change takes a restart" in log_file.read_text()
    assert world.get("exporter fake/new").running
    service.request_stop("test")
    assert await task == 0


async def test_a_failed_start_is_exit_code_1_and_one_line(world: World, log_file: Path) -> None:
    """No traceback: the component, the action and the cause."""
    spec = make_spec(CHAIN, {"receiver fake/in": {"fail_start": True, "port": "1"}}, telemetry=quiet(log_file))
    _, task = await started(spec)
    assert await task == 1
    line = log_file.read_text().splitlines()[-1]
    assert line.endswith("error receiver fake/in: cannot listen on 1")
    assert not world.get("exporter fake/out").running


async def test_items_left_are_told_by_component(world: World, log_file: Path) -> None:
    """Whoever runs the daemon learns what was lost while stopping and what still lies on a disk, and where."""
    service, task = await started(
        make_spec({"traces": (["fake/in"], [], ["fake/a", "fake/b"])}, telemetry=quiet(log_file))
    )
    exporter = world.get("exporter fake/a")
    drops = exporter.settings.meter.counter("dropped_items", signal="traces", reason="shutdown")
    drops.add(1000)
    lost = exporter.shutdown

    async def shutdown() -> None:
        drops.add(512)
        await lost()

    exporter.shutdown = shutdown
    world.get("exporter fake/b").pending = 7
    service.request_stop("SIGTERM")
    await task
    tail = "; lost: 512 items of exporter fake/a; still held: 7 items of fake/b"
    assert log_file.read_text().rstrip().endswith(tail)


async def test_a_second_signal_does_not_wait(world: World, log_file: Path) -> None:
    """Draining that would take an hour ends at once."""
    spec = make_spec(CHAIN, {"exporter fake/out": {"hang": True}}, telemetry=quiet(log_file), shutdown_timeout=3600)
    service, task = await started(spec)
    service.request_stop("SIGTERM")
    await until(lambda: "stop receiver fake/in" in world.events)
    service.request_stop("SIGINT")
    assert await asyncio.wait_for(task, 5) == 0
    assert "SIGINT again: stopping without waiting" in log_file.read_text()


@pytest.mark.parametrize("when", ["start", "reload"])
async def test_a_stop_does_not_wait_for_a_start_that_hangs(when: str, world: World, log_file: Path) -> None:
    """Neither at first nor in a reload; what had started is stopped."""
    hanging = {"receiver fake/in": {"hang_start": True}}
    calm, stuck = make_spec(CHAIN, telemetry=quiet(log_file)), make_spec(CHAIN, hanging, telemetry=quiet(log_file))
    service = Service(Loaded(stuck if when == "start" else calm), lambda: Loaded(stuck))
    task = asyncio.create_task(service.run())
    if when == "reload":
        await until(service.is_ready)
        service.request_reload()
    await until(lambda: "hang receiver fake/in" in world.events)
    service.request_stop("SIGTERM")
    assert await asyncio.wait_for(task, 5) == 0
    assert not any(component.running for made in world.made.values() for component in made)


async def test_signals_stop_and_reload(world: World, log_file: Path) -> None:
    """SIGHUP switches to the new configuration, SIGTERM drains and ends with 0."""
    other = make_spec({"traces": (["fake/in"], [], ["fake/new"])}, telemetry=quiet(log_file))
    spec = make_spec(CHAIN, telemetry=quiet(log_file))
    task = asyncio.create_task(run_service(Loaded(spec), lambda: Loaded(other)))
    await until(lambda: "start receiver fake/in" in world.events)
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: "stop exporter fake/out" in world.events)
    await world.get("receiver fake/in").next.consume(make_batch(items=3))
    os.kill(os.getpid(), signal.SIGTERM)
    assert await task == 0
    assert world.get("exporter fake/new").item_count == 3
    assert "reloaded: 1 kept, exporter fake/new started, exporter fake/out stopped" in log_file.read_text()


def refuse_config() -> Loaded:
    raise ConfigError([Problem("a.yaml", 3, 5, "exporters.x", "unknown-option", "unknown option")])


@pytest.mark.parametrize("failure", ["config", "start", "unexpected"])
async def test_a_failed_reload_is_shown_and_changes_nothing(failure: str, world: World, log_file: Path) -> None:
    """The old configuration runs on; the reason is in the log, in the status, and in a metric."""
    bad = make_spec({"traces": (["fake/in"], [], ["fake/b"])}, {"exporter fake/b": {"fail_start": True}})
    reloads: dict[str, Callable[[], Loaded]] = {
        "config": refuse_config,
        "start": lambda: Loaded(bad),
        "unexpected": lambda: Loaded(1 // 0),  # type: ignore[arg-type]
    }
    text = {"config": "a.yaml:3:5", "start": "exporter fake/b: cannot listen", "unexpected": "ZeroDivisionError"}[
        failure
    ]
    service, task = await started(make_spec(CHAIN, telemetry=quiet(log_file)), reloads[failure])
    service.request_reload()
    await until(lambda: service.metrics.value("config_reloads", outcome="failure"))
    await world.get("receiver fake/in").next.consume(make_batch(items=3))
    assert world.get("exporter fake/out").item_count == 3
    event = service.statuses()["service"]["service:config"]
    assert event.status is Status.RECOVERABLE_ERROR
    assert text in event.message
    assert text in log_file.read_text()
    assert service.metrics.value("config_last_reload_successful") == 0
    service.request_stop("test")
    assert await task == 0


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Hold a port for the time of a test."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.parametrize("place", ["logs", "metrics"])
async def test_a_reload_whose_telemetry_cannot_be_had_starts_nothing(
    place: str, world: World, log_file: Path, tmp_path: Path, taken_port: int
) -> None:
    """A log file that cannot be opened, or a metrics port that is taken, leaves neither units nor gauges behind."""
    page = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": taken_port}}}}
    telemetry = quiet(tmp_path / "missing" / "log") if place == "logs" else quiet(log_file, readers=[page])
    bad = make_spec({"traces": (["fake/in"], [], ["fake/new"])}, telemetry=telemetry)
    service, task = await started(make_spec(CHAIN, telemetry=quiet(log_file)), lambda: Loaded(bad))
    service.request_reload()
    await until(lambda: service.metrics.value("config_reloads", outcome="failure"))
    assert "exporter fake/new" not in world.made
    await world.get("receiver fake/in").next.consume(make_batch(items=3))
    assert world.get("exporter fake/out").item_count == 3
    service.request_stop("test")
    assert await task == 0
    assert "reload failed, the running configuration stays" in log_file.read_text()
    assert not any(component.running for made in world.made.values() for component in made)


async def test_a_reload_without_change_does_nothing(world: World, log_file: Path) -> None:
    """An equal configuration touches no component."""
    spec = make_spec(CHAIN, telemetry=quiet(log_file))
    service, task = await started(spec, lambda: Loaded(make_spec(CHAIN, telemetry=quiet(log_file))))
    events = list(world.events)
    service.request_reload()
    await until(lambda: service.metrics.value("config_reloads", outcome="unchanged"))
    assert world.events == events
    service.request_stop("test")
    await task


async def test_a_changed_file_reloads(world: World, log_file: Path, tmp_path: Path) -> None:
    """With ``--watch`` a changed content is enough."""
    config = tmp_path / "config.yaml"
    config.write_text("one")
    new = make_spec({"traces": (["fake/in"], [], ["fake/new"])}, telemetry=quiet(log_file))
    service = Service(Loaded(make_spec(CHAIN, telemetry=quiet(log_file)), files=(config,)), lambda: Loaded(new))
    task = asyncio.create_task(service.run(watch=True))
    await until(service.is_ready)

    async def change_until_seen() -> None:
        number = 0
        while not service.metrics.value("config_reloads", outcome="success"):
            number += 1
            config.write_text(str(number))
            await asyncio.sleep(0.05)

    await asyncio.wait_for(change_until_seen(), 20)
    service.request_stop("test")
    assert await task == 0
    assert world.get("exporter fake/new")


async def fetch(address: str, path: str = "/metrics", headers: str = "") -> bytes:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


READER = {"pull": {"exporter": {"prometheus": {"host": "localhost", "port": 0}}}}


async def test_metrics_are_served_and_follow_a_reload(world: World, log_file: Path) -> None:
    """Data shows at ``/metrics``; a new prefix takes effect without a restart."""
    spec = make_spec(CHAIN, telemetry=quiet(log_file, readers=[READER]))
    renamed = make_spec(CHAIN, telemetry=quiet(log_file, readers=[READER], prefix="otelcol_"))
    service, task = await started(spec, lambda: Loaded(renamed))
    await world.get("receiver fake/in").next.consume(make_batch(items=3))
    [address] = service.metrics_addresses()
    page = await fetch(address)
    assert b'untrace_receiver_accepted_spans_total{receiver="fake/in",transport=""} 3.0' in page
    assert b'untrace_pipeline_ready{pipeline="traces"} 1.0' in page
    service.request_reload()
    await until(lambda: service.metrics.value("config_reloads"))
    page = await fetch(address)
    assert b'otelcol_receiver_accepted_spans_total{receiver="fake/in",transport=""} 3.0' in page
    assert b"untrace_" not in page.replace(b"untrace_pipeline", b"")
    service.request_stop("test")
    await task


async def test_a_taken_metrics_port_is_a_failed_start(world: World, log_file: Path) -> None:
    """The message names the option."""
    blocker = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = blocker.sockets[0].getsockname()[1]
    readers = [{"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": port}}}}]
    _, task = await started(make_spec(CHAIN, telemetry=quiet(log_file, readers=readers)))
    assert await task == 1
    assert f"service.telemetry.metrics: cannot listen on 127.0.0.1:{port}" in log_file.read_text()
    blocker.close()
    await blocker.wait_closed()
