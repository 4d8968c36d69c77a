"""From a refusal to the replay, with the daemon as a process: dead letters, ``dlq`` and ``replay``."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.destination import Destination
from tests.support.peers import Daemon
from tests.support.peers.daemon import daemon_command
from tests.support.wait import wait_until
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import make_batch

pytestmark = pytest.mark.e2e
ITEMS = 10


def config(directory: Path, url: str, **exporter: Any) -> dict[str, Any]:
    """Return a config whose only exporter has a dead-letter queue."""
    backend = {"endpoint": url, "dead_letter_queue": {"storage": "file_storage"}} | exporter
    http = {"endpoint": "127.0.0.1:${env:HTTP_PORT}", "include_metadata": True}
    return {
        "receivers": {"otlp": {"protocols": {"http": http}}},
        "exporters": {"otlp_http/backend": backend},
        "extensions": {"file_storage": {"directory": str(directory / "storage"), "create_directory": True}},
        "service": {
            "extensions": ["file_storage"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http/backend"]}},
        },
    }


def batch(seed: int) -> Batch:
    return make_batch(Signal.TRACES, ITEMS, seed=seed)


def span_ids(*seeds: int) -> set[object]:
    return {one for seed in seeds for one in batch(seed).column(Field(Level.ITEM, "span_id"))}


def post(daemon: Daemon, seed: int, headers: dict[str, str] | None = None) -> None:
    """Send one request of spans; raises unless it is acknowledged."""
    given = {"Content-Type": "application/x-protobuf"} | (headers or {})
    url = f"http://{daemon.endpoint('HTTP_PORT')}/v1/traces"
    request = urllib.request.Request(url, batch(seed).to_otlp(), given)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


class Command:
    """Runs commands with the configuration of a daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def start(self, *words: str) -> subprocess.Popen[str]:
        place = 2 if words[0] == "dlq" else 1
        path = str(self._daemon.directory / "config.yaml")
        command = [daemon_command(), *words[:place], "--config", path, *words[place:]]
        environment = os.environ | {name: str(port) for name, port in self._daemon.ports.items()}
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        """Run to the end, and return what it says."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == code, out + err
        return out

    def letters(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("dlq", "list", "--json", "--limit", "0").splitlines()]


def test_refused_looked_at_and_sent_again(tmp_path: Path) -> None:
    """What a destination refuses is listed with its answer while the daemon runs, and arrives once it is mended."""
    with Destination(400, "no such project: check the key") as destination:
        with Daemon(config(tmp_path, destination.url), directory=tmp_path) as daemon:
            command = Command(daemon)
            for seed in range(20):
                post(daemon, seed, {"X-Tenant": "acme", "X-Api-Key": "hunter2-hunter2"})
            letters = wait_until(lambda: len(found := command.letters()) == 20 and found, daemon)
            assert {(one["exporter"], one["reason"], one["code"], one["items"]) for one in letters} == {
                ("otlp_http/backend", "permanent", "INVALID_ARGUMENT", ITEMS)
            }
            assert "20 dead letters (200 items, " in command.run("dlq", "list")
            shown = command.run("dlq", "show", str(letters[0]["id"]))
            assert "HTTP 400: no such project: check the key" in shown
            assert "x-tenant: acme" in shown
            assert "hunter2" not in shown
            assert "2 dead letters failed" not in command.run("replay", "--limit", "2", code=1)
            destination.status, destination.body = 200, ""
            said = command.run("replay")
            assert said.startswith("20 dead letters (200 items, ")
            assert command.letters() == []
            assert daemon.log.count("dropped") == 0
        assert set(destination.taken) == span_ids(*range(20))
        assert set(destination.taken.values()) == {1}
    assert daemon.returncode == 0


def test_credentials_of_the_exporter_are_in_no_letter(tmp_path: Path) -> None:
    """A destination that quotes our credentials in its refusal does not bring them into the database, or on screen."""
    token = "opensesame-0123456789"
    refusal = f'{{"error": "not allowed", "headers": {{"Authorization": "Bearer {token}"}}}}' + " " * 500
    with Destination(403, refusal) as destination:
        settings = config(tmp_path, destination.url, headers={"authorization": f"Bearer {token}"})
        with Daemon(settings, directory=tmp_path) as daemon:
            post(daemon, 1)
            command = Command(daemon)
            (letter,) = wait_until(command.letters, daemon)
            assert letter["message"].startswith('HTTP 403: {"error": "not allowed"')
            assert token not in command.run("dlq", "show", str(letter["id"]), "--json")
            assert token not in daemon.log
        assert token.encode() not in (tmp_path / "storage" / "dead_letters.db").read_bytes()


def test_replay_is_killed_and_goes_on(tmp_path: Path) -> None:
    """A replay that is killed in the middle, beside the running daemon, is finished by the next; new data go on."""
    with Destination(400) as destination, Daemon(config(tmp_path, destination.url), directory=tmp_path) as daemon:
        command = Command(daemon)
        for seed in range(40):
            post(daemon, seed)
        wait_until(lambda: len(command.letters()) == 40, daemon)
        destination.status, destination.delay = 200, 0.02
        with command.start("replay", "--concurrency", "2") as process:
            wait_until(lambda: destination.taken.total() >= 10 * ITEMS, daemon)
            process.kill()
        post(daemon, 1000)
        assert "delivered" in command.run("replay")
        assert command.letters() == []
        wait_until(lambda: span_ids(1000) <= set(destination.taken), daemon)
        assert set(destination.taken) == span_ids(*range(40), 1000)
        assert sum(times > 1 for times in destination.taken.values()) <= 2 * ITEMS


def test_workers_share_the_dead_letters(tmp_path: Path) -> None:
    """All workers bury into one database; the metrics show it once, and follow what a replay takes out."""
    with Destination(400) as destination:
        settings = config(tmp_path, destination.url)
        settings["service"] |= {"workers": 2, "telemetry": {"metrics": {"address": "127.0.0.1:${env:METRICS_PORT}"}}}
        with Daemon(settings, directory=tmp_path) as daemon:

            def held() -> float:
                url = f"http://{daemon.endpoint('METRICS_PORT')}/metrics"
                with urllib.request.urlopen(url, timeout=10) as answer:
                    text = answer.read().decode()
                found = [line for line in text.splitlines() if line.startswith("untrace_dead_letters{")]
                return float(found[0].rsplit(" ", 1)[1]) if found else -1.0

            for seed in range(12):
                post(daemon, seed)
            command = Command(daemon)
            wait_until(lambda: len(command.letters()) == 12, daemon)
            wait_until(lambda: held() == 12 * ITEMS, daemon)
            destination.status = 200
            command.run("replay")
            wait_until(lambda: held() == 0, daemon, seconds=40)
        assert set(destination.taken) == span_ids(*range(12))
    assert daemon.returncode == 0


def test_kill_of_the_daemon_loses_no_letter(tmp_path: Path) -> None:
    """With a queue on disk, everything that was acknowledged is a letter in the end, however often the daemon died."""
    rng = random.Random(11)
    storage = {"sending_queue": {"storage": "file_storage"}}
    acknowledged: list[int] = []
    with Destination(400, delay=0.01) as destination:
        for life in range(4):
            daemon = Daemon(config(tmp_path, destination.url, **storage), directory=tmp_path)
            daemon.start()
            try:
                for seed in range(life * 100, life * 100 + rng.randrange(5, 30)):
                    post(daemon, seed)
                    acknowledged.append(seed)
                os.kill(daemon.pid, signal.SIGKILL)
            finally:
                daemon.stop()
        with Daemon(config(tmp_path, destination.url, **storage), directory=tmp_path) as last:
            command = Command(last)
            wait_until(lambda: sum(one["items"] for one in command.letters()) >= ITEMS * len(acknowledged), last)
            destination.status = 200
            command.run("replay")
            assert span_ids(*acknowledged) <= set(destination.taken)
            assert command.letters() == []


def test_storage_that_fails_is_back_pressure(tmp_path: Path) -> None:
    """Where letters cannot be written, their items stay with the exporter; when there is room, none is missing."""
    with Destination(400) as destination:
        settings = config(tmp_path, destination.url)
        with Daemon(settings, directory=tmp_path) as daemon:
            blocked = tmp_path / "storage" / "dead_letters.db.new"
            blocked.mkdir()  # a database cannot be made where it should be made
            (blocked / "x").touch()
            for seed in range(5):
                post(daemon, seed)
            wait_until(lambda: "dead letters" in daemon.log, daemon)
            (blocked / "x").unlink()
            blocked.rmdir()
            command = Command(daemon)
            wait_until(lambda: len(command.letters()) == 5, daemon, seconds=40)
    assert daemon.returncode == 0
