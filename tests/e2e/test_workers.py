"""Several worker processes as one service: load, death, reload, number, metrics, end."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.peers import Daemon
from tests.support.peers.process import free_port
from tests.support.service import (
    WORKER,
    Load,
    change,
    children,
    config,
    delivered,
    get,
    metric,
    outputs,
    ready,
    reloads,
    run_to_end,
    spans,
)
from tests.support.wait import wait_until
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import make_batch

pytestmark = pytest.mark.e2e


@contextmanager
def daemon_of(directory: Path, settings: dict[str, Any] | None = None) -> Iterator[Daemon]:
    """Run the daemon in a directory."""
    with Daemon(settings or config(), directory=directory) as daemon:
        yield daemon


def test_load_is_spread_and_counted_once(tmp_path: Path) -> None:
    """Connections go to both workers; one page of metrics says what was sent in all, and nothing is lost at SIGTERM."""
    with daemon_of(tmp_path) as daemon:
        with Load(daemon, clients=16) as load:
            load.wait_for(2000, daemon)
        assert load.failed == 0
        assert metric(daemon, "untrace_receiver_accepted_spans_total", receiver="otlp") == load.acknowledged
        assert metric(daemon, "untrace_exporter_sent_spans_total", exporter="file") == load.acknowledged
        assert (
            metric(daemon, "untrace_workers", state="ready") == metric(daemon, "untrace_workers", state="wanted") == 2
        )
        assert metric(daemon, "untrace_pipeline_ready", pipeline="traces") == 1
        (account,) = orjson.loads(get(daemon, "METRICS_PORT", "/ledger")[1])["ledger"]
        assert (account["accepted"], account["delivered"], account["balance"]) == (load.acknowledged,) * 2 + (0,)
        assert len(children(daemon)) == 2
    assert daemon.returncode == 0
    assert delivered(tmp_path) == Counter(load.ids)
    assert all(spans(path) for path in outputs(tmp_path))
    assert len(outputs(tmp_path)) == 2
    assert "worker=0" in daemon.log
    assert "worker=1" in daemon.log
    assert "all workers stopped" in daemon.log.splitlines()[-1]
    assert daemon.log.splitlines()[-1].endswith("nothing was left")


def test_sigterm_under_load_loses_nothing(tmp_path: Path) -> None:
    """Everything that was acknowledged before or while the daemon stops is in the files, once."""
    with daemon_of(tmp_path) as daemon, Load(daemon) as load:
        load.wait_for(500, daemon)
        daemon.stop()
    assert daemon.returncode == 0
    assert load.ids <= set(delivered(tmp_path))
    assert set(delivered(tmp_path).values()) == {1}


def test_a_signal_to_everybody_is_one_stop(tmp_path: Path) -> None:
    """Where systemd, or Ctrl-C, sends the signal to the workers too, they drain all the same."""
    with daemon_of(tmp_path) as daemon, Load(daemon) as load:
        load.wait_for(200, daemon)
        for pid in children(daemon):
            os.kill(pid, signal.SIGTERM)
        daemon.stop()  # which is the signal to the supervisor
    assert daemon.returncode == 0
    assert load.ids <= set(delivered(tmp_path))
    assert "again: stopping" not in daemon.log


def test_a_killed_worker_comes_back(tmp_path: Path) -> None:
    """The other goes on, ``/ready`` names the dead one until it is back, and sums of metrics do not go down."""
    with daemon_of(tmp_path) as daemon:
        with Load(daemon) as load:
            load.wait_for(200, daemon)
        before = wait_until(lambda: metric(daemon, "untrace_receiver_accepted_spans_total"), daemon)
        victim = children(daemon)[0]
        os.kill(victim, signal.SIGKILL)
        code, reasons = wait_until(lambda: (found := ready(daemon))[0] == 503 and found, daemon)
        assert code == 503
        assert len(reasons) == 1
        assert reasons[0].startswith("worker:")
        assert "was killed by SIGKILL" in reasons[0]
        assert metric(daemon, "untrace_pipeline_ready", pipeline="traces") == 0
        assert get(daemon, "HEALTH_PORT", "/")[0] == 200
        with Load(daemon) as more:
            more.wait_for(100, daemon)
        wait_until(lambda: ready(daemon)[0] == 200, daemon)
        assert victim not in children(daemon)
        assert len(children(daemon)) == 2
        assert metric(daemon, "untrace_worker_restarts_total") == 1
        assert metric(daemon, "untrace_receiver_accepted_spans_total") == before + more.acknowledged
    assert load.ids | more.ids <= set(delivered(tmp_path))


def test_a_worker_that_hangs_is_not_ready(tmp_path: Path) -> None:
    """One that does not answer is named after ten seconds; a scrape does not wait for it longer than two."""
    with daemon_of(tmp_path) as daemon:
        victim = children(daemon)[0]
        os.kill(victim, signal.SIGSTOP)
        code, reasons = wait_until(lambda: (found := ready(daemon))[0] == 503 and found, daemon, seconds=60)
        assert code == 503
        assert "has not answered for 1" in reasons[0]
        assert metric(daemon, "untrace_workers", state="wanted") == 2
        os.kill(victim, signal.SIGCONT)
        wait_until(lambda: ready(daemon)[0] == 200, daemon)


def test_a_worker_that_is_asked_to_end_drains_and_comes_back(tmp_path: Path) -> None:
    """Whoever sends SIGTERM to one worker gets a new one; nothing is lost."""
    with daemon_of(tmp_path) as daemon:
        with Load(daemon) as load:
            load.wait_for(100, daemon)
            os.kill(children(daemon)[0], signal.SIGTERM)
            wait_until(lambda: metric(daemon, "untrace_worker_restarts_total") == 1, daemon)
            load.wait_for(100, daemon)
        wait_until(lambda: ready(daemon)[0] == 200, daemon)
    assert load.ids <= set(delivered(tmp_path))
    assert "ended with code 0; it is started again" in daemon.log


def test_without_supervisor_no_worker_stays(tmp_path: Path) -> None:
    """A supervisor that is killed leaves no orphans: its workers drain and end."""
    with daemon_of(tmp_path) as daemon:
        with Load(daemon) as load:
            load.wait_for(100, daemon)
        workers = children(daemon)
        os.kill(daemon.pid, signal.SIGKILL)
        wait_until(lambda: not any(_is_alive(pid) for pid in workers), daemon)
    assert load.ids <= set(delivered(tmp_path))
    assert daemon.log.count("the supervisor is gone: draining") == 2


def _is_alive(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_rolling_reload_under_load(tmp_path: Path) -> None:
    """Both workers switch to another file while requests flow; none is refused, nothing is lost or there twice."""
    with daemon_of(tmp_path) as daemon:
        workers = children(daemon)
        with Load(daemon) as load:
            load.wait_for(200, daemon)
            change(daemon, "path: out-", "path: out-new-")
            wait_until(lambda: reloads(daemon, "success") == 1, daemon)
            load.wait_for(200, daemon)
        assert load.failed == 0
        assert children(daemon) == workers
        assert daemon.log.count("reloaded: ") == 3
        assert metric(daemon, "untrace_receiver_accepted_spans_total") == load.acknowledged
    assert delivered(tmp_path) == Counter(load.ids)
    assert {path.name for path in outputs(tmp_path)} == {
        f"out-{new}{number}.jsonl" for new in ("", "new-") for number in (0, 1)
    }


def test_a_reload_that_one_worker_cannot_do(tmp_path: Path) -> None:
    """A configuration that is right and cannot be started is refused by the first worker, and runs nowhere."""
    with daemon_of(tmp_path) as daemon:
        change(daemon, "path: out-", "path: no/such/directory/out-")
        wait_until(lambda: reloads(daemon, "failure") == 1, daemon)
        assert metric(daemon, "untrace_config_last_reload_successful") == 0
        status = orjson.loads(get(daemon, "HEALTH_PORT", "/status")[1])
        assert "worker 0: exporter file" in status["config"]["error"]
        assert daemon.log.count("reload failed") == 2
        with Load(daemon) as load:
            load.wait_for(100, daemon)
        assert load.failed == 0
        os.kill(children(daemon)[1], signal.SIGKILL)
        wait_until(lambda: ready(daemon)[0] == 503, daemon)
        wait_until(lambda: ready(daemon)[0] == 200, daemon)
    assert load.ids <= set(delivered(tmp_path))


def test_the_number_of_workers_changes(tmp_path: Path) -> None:
    """A reload starts and stops workers while requests flow, and loses nothing."""
    with daemon_of(tmp_path) as daemon, Load(daemon) as load:
        load.wait_for(100, daemon)
        change(daemon, "workers: 2", "workers: 3")
        wait_until(lambda: metric(daemon, "untrace_workers", state="ready") == 3, daemon)
        wait_until(lambda: reloads(daemon, "success") == 1, daemon)
        assert len(children(daemon)) == 3
        load.wait_for(100, daemon)
        change(daemon, "workers: 3", "workers: 1")
        wait_until(lambda: reloads(daemon, "success") == 2, daemon)
        assert len(children(daemon)) == 1
        load.wait_for(100, daemon)
        assert ready(daemon) == (200, [])
    assert load.ids <= set(delivered(tmp_path))
    assert daemon.returncode == 0


@pytest.mark.parametrize("workers", [2, 1])
def test_a_taken_port_ends_the_start(tmp_path: Path, workers: int) -> None:
    """What a worker cannot start with ends all of them, with its exit code."""
    port = free_port()
    settings = config(workers)
    settings["receivers"]["otlp"]["protocols"]["http"]["endpoint"] = f"127.0.0.1:{port}"
    settings["service"]["telemetry"] = {"metrics": {"level": "none"}}
    (tmp_path / "c.yaml").write_bytes(orjson.dumps(settings))
    with Daemon(config(1), directory=tmp_path / "other", env={"HTTP_PORT": str(port)}) as other:
        taken = int(other.ports["HTTP_PORT"])
        text = (tmp_path / "c.yaml").read_text().replace(f":{port}", f":{taken}")
        (tmp_path / "c.yaml").write_text(text)
        ended = run_to_end("run", "--config", "c.yaml", cwd=tmp_path)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{taken}: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr
    if workers > 1:
        assert "before any was ready; its own lines say why" in ended.stderr.splitlines()[-1]


def test_what_only_a_worker_sees_is_exit_code_2(tmp_path: Path) -> None:
    """A part that must be native and is not there is found by the workers; the supervisor ends with their code."""
    settings = config(2)
    settings["service"]["telemetry"] = {"metrics": {"level": "none"}}
    settings["receivers"]["otlp"]["protocols"]["http"]["endpoint"] = f"127.0.0.1:{free_port()}"
    (tmp_path / "c.yaml").write_bytes(orjson.dumps(settings))
    hidden = tmp_path / "untrace_pipeline_native.py"
    hidden.write_text("raise ImportError('hidden by the test')")
    environment = {"PYTHONPATH": str(tmp_path), "UNTRACE_PIPELINE_CODEC": "native"}
    ended = run_to_end("run", "--config", "c.yaml", cwd=tmp_path, env=environment)
    assert ended.returncode == 2
    assert "UNTRACE_PIPELINE_CODEC asks" in ended.stderr


def test_a_file_for_all_workers_is_a_problem(tmp_path: Path) -> None:
    """A path without the worker's number is refused before anything starts, with what to write."""
    (tmp_path / "c.yaml").write_bytes(orjson.dumps(config(2, file={"path": "out.jsonl"})))
    ports = {"HTTP_PORT": "4318", "METRICS_PORT": "8888"}
    ended = run_to_end("validate", "--config", "c.yaml", cwd=tmp_path, env=ports)
    assert ended.returncode == 2
    assert "each worker would write over what the others wrote (service.workers: 2)" in ended.stderr
    assert f"expected: a value with {WORKER} in it" in ended.stderr


def test_one_worker_has_no_supervisor(tmp_path: Path) -> None:
    """The default is one process, which has the number 0."""
    with daemon_of(tmp_path, config(1)) as daemon:
        with Load(daemon) as load:
            load.wait_for(50, daemon)
        assert children(daemon) == []
        assert get(daemon, "METRICS_PORT", "/metrics")[1].count(b"untrace_workers") == 0
    assert [path.name for path in outputs(tmp_path)] == ["out-0.jsonl"]
    assert delivered(tmp_path) == Counter(load.ids)


def test_a_file_is_read_by_one_worker(tmp_path: Path) -> None:
    """A receiver that follows files runs once, whatever the number of workers; its lines come in once."""
    settings = config(3)
    settings["receivers"]["otlp_json_file"] = {
        "include": ["in.jsonl"],
        "start_at": "beginning",
        "poll_interval": "50ms",
    }
    settings["service"]["pipelines"]["traces"]["receivers"] = ["otlp", "otlp_json_file"]
    lines = [make_batch(Signal.TRACES, items=4, seed=seed).to_json() for seed in range(20)]
    (tmp_path / "in.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    with daemon_of(tmp_path, settings) as daemon:
        wait_until(lambda: metric(daemon, "untrace_exporter_sent_spans_total") == 80, daemon)
        assert metric(daemon, "untrace_receiver_accepted_spans_total", receiver="otlp_json_file") == 80
    assert len(spans(tmp_path / "out-0.jsonl")) == 80


def backend(port: int) -> dict[str, Any]:
    """Return the config of a destination that writes down what it gets."""
    return {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"file": {"path": "out-0.jsonl", "append": True}},
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}}},
    }


def on_disk(port: int, workers: int) -> dict[str, Any]:
    """Return a config whose queue lies on a disk, before a destination that is perhaps not there."""
    exporter = {
        "endpoint": f"127.0.0.1:{port}",
        "tls": {"insecure": True},
        "sending_queue": {"storage": "file_storage", "queue_size": 100_000},
        "retry_on_failure": {"initial_interval": "20ms", "max_interval": "100ms", "max_elapsed_time": "0s"},
    }
    settings = config(workers, otlp_grpc=exporter)
    settings["extensions"] = {"file_storage": {"directory": "queue", "create_directory": True}}
    settings["service"] |= {"extensions": ["file_storage"], "shutdown_timeout": "1s"}
    return settings


def test_what_a_worker_left_on_the_disk_the_others_deliver(tmp_path: Path) -> None:
    """Three workers, then two, then a single process: each time, somebody adopts the queues of those that are gone."""
    port, front, back = free_port(), tmp_path / "front", tmp_path / "back"
    acknowledged: set[str] = set()
    with daemon_of(front, on_disk(port, 3)) as daemon:
        with Load(daemon, clients=12) as load:
            load.wait_for(300, daemon)
        acknowledged |= load.ids
        change(daemon, "workers: 3", "workers: 2")
        wait_until(lambda: reloads(daemon, "success") == 1, daemon, seconds=60)
        with Load(daemon, clients=12) as load:
            load.wait_for(300, daemon)
        acknowledged |= load.ids
        (account,) = orjson.loads(get(daemon, "METRICS_PORT", "/ledger")[1])["ledger"]
        assert account["balance"] == 0
        assert account["queued"] + account["in_flight"] == len(acknowledged)
    assert "still held" in daemon.log.splitlines()[-1]
    with daemon_of(front, on_disk(port, 1)) as daemon, Daemon(backend(port), directory=back) as destination:
        wait_until(lambda: acknowledged <= set(delivered(back)), destination, seconds=60)
        wait_until(lambda: metric(daemon, "untrace_exporter_pending_items", state="queued") == 0, daemon)
    assert acknowledged <= set(delivered(back))


def test_what_was_counted_is_not_counted_again(tmp_path: Path) -> None:
    """A worker that is started again, or exchanged, reads the history of its queue; the ledger has that already."""
    port, back = free_port(), tmp_path / "back"
    with (
        Daemon(backend(port), directory=back) as destination,
        daemon_of(tmp_path / "front", on_disk(port, 2)) as daemon,
    ):
        with Load(daemon, clients=8) as load:
            load.wait_for(300, daemon)
        wait_until(lambda: load.ids <= set(delivered(back)), destination)
        expected = len(delivered(back))

        def ledger_matches() -> bool:
            (account,) = orjson.loads(get(daemon, "METRICS_PORT", "/ledger")[1])["ledger"]
            known = account["accepted"] + account["unacknowledged"]
            return bool(known == account["delivered"] == expected and account["balance"] == 0)

        wait_until(ledger_matches, daemon)
        os.kill(children(daemon)[0], signal.SIGKILL)
        wait_until(lambda: metric(daemon, "untrace_worker_restarts_total", worker="0") == 1, daemon)
        wait_until(lambda: metric(daemon, "untrace_workers", state="ready") == 2, daemon)
        assert ledger_matches()
        change(daemon, "workers: 2", "workers: 3")
        wait_until(lambda: reloads(daemon, "success") == 1, daemon, seconds=60)
        assert ledger_matches()


def test_a_killed_worker_finds_its_queue_again(tmp_path: Path) -> None:
    """kill -9 of a worker loses nothing that was acknowledged, and the ledger of all still adds up."""
    port, front, back = free_port(), tmp_path / "front", tmp_path / "back"
    with daemon_of(front, on_disk(port, 2)) as daemon:
        with Load(daemon, clients=8) as load:
            load.wait_for(300, daemon)
            os.kill(children(daemon)[0], signal.SIGKILL)
            load.wait_for(300, daemon)
        wait_until(lambda: ready(daemon)[0] == 200, daemon)
        with Daemon(backend(port), directory=back) as destination:
            wait_until(lambda: load.ids <= set(delivered(back)), destination, seconds=60)

            def settled() -> bool:
                (account,) = orjson.loads(get(daemon, "METRICS_PORT", "/ledger")[1])["ledger"]
                return bool(account["queued"] + account["in_flight"] + account["balance"] == 0)

            wait_until(settled, daemon)
    assert load.ids <= set(delivered(back))
