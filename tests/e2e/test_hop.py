"""Traces that must stay together, with several worker processes: each is seen by one of them only."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import Daemon
from tests.support.service import Load, change, children, config, metric, outputs, ready, reloads, spans
from tests.support.together import install
from tests.support.wait import wait_until

pytestmark = pytest.mark.e2e


def together(workers: int = 2) -> dict[str, Any]:
    """Return a config with a processor that needs whole traces."""
    settings = config(workers)
    settings["processors"] = {"together": None}
    settings["service"]["pipelines"]["traces"]["processors"] = ["together"]
    return settings


def run(directory: Path, settings: dict[str, Any] | None = None) -> Daemon:
    """Return the daemon with the plugin."""
    return Daemon(settings or together(), directory=directory, env=install(directory / "site"))


def seen_by(directory: Path) -> dict[str, set[str]]:
    """Return which workers saw spans of each trace; what they noted is where it was written."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in outputs(directory):
        for span in spans(path):
            notes = [one["value"]["intValue"] for one in span["attributes"] if one["key"] == "seen.by"]
            assert [f"out-{note}.jsonl" for note in notes] == [path.name]
            found[span["traceId"]].add(path.name)
    return found


def ids(directory: Path) -> set[str]:
    """Return the ids of all spans that were written."""
    return {span["spanId"] for path in outputs(directory) for span in spans(path)}


@pytest.mark.parametrize("workers", [2, 3])
def test_each_trace_is_seen_by_one_worker(tmp_path: Path, workers: int) -> None:
    """Spans of a trace come over many connections, to any worker, and meet in one; nothing is lost or twice."""
    with run(tmp_path, together(workers)) as daemon:
        with Load(daemon, clients=8, items=20, traces=25) as load:
            load.wait_for(3000, daemon)
        assert load.failed == 0
        hops = {way: metric(daemon, "untrace_hop_items_total", way=way) for way in ("kept", "sent", "received")}
        assert hops["sent"] == hops["received"] > 0
        assert hops["kept"] + hops["received"] == load.acknowledged
    found = seen_by(tmp_path)
    assert len(found) == 25
    assert all(len(names) == 1 for names in found.values())
    assert len(set().union(*found.values())) == workers
    assert sum(len(spans(path)) for path in outputs(tmp_path)) == load.acknowledged
    assert daemon.returncode == 0


def test_sigterm_under_load_loses_nothing(tmp_path: Path) -> None:
    """Workers that stop together wait for what the others still send; all that was acknowledged is there."""
    with run(tmp_path) as daemon, Load(daemon, items=20, traces=25) as load:
        load.wait_for(1000, daemon)
        daemon.stop()
    assert daemon.returncode == 0
    assert load.ids <= ids(tmp_path)
    assert all(len(names) == 1 for names in seen_by(tmp_path).values())
    assert daemon.log.splitlines()[-1].endswith("nothing was left")


def test_a_rolling_reload_under_load(tmp_path: Path) -> None:
    """While one worker after the other changes, spans find their way; nobody is refused, no trace is torn."""
    with run(tmp_path) as daemon:
        with Load(daemon, items=20, traces=25) as load:
            load.wait_for(500, daemon)
            change(daemon, "path: out-", "path: ./out-")
            wait_until(lambda: reloads(daemon, "success") == 1, daemon)
            load.wait_for(500, daemon)
        assert load.failed == 0
    assert load.ids == ids(tmp_path)
    assert all(len(names) == 1 for names in seen_by(tmp_path).values())


def test_a_killed_worker_refuses_its_part_until_it_is_back(tmp_path: Path) -> None:
    """Senders are told to come again meanwhile; what was acknowledged is there, and traces still meet in one."""
    with run(tmp_path) as daemon:
        with Load(daemon, items=20, traces=25) as load:
            load.wait_for(500, daemon)
            os.kill(children(daemon)[0], signal.SIGKILL)
            wait_until(lambda: metric(daemon, "untrace_worker_restarts_total") == 1, daemon)
            wait_until(lambda: ready(daemon)[0] == 200, daemon)
            load.wait_for(500, daemon)
        assert load.failed > 0
        before = load.failed
        with Load(daemon, items=20, traces=25) as load_after:
            load_after.wait_for(500, daemon)
        assert load_after.failed == 0
        assert before < load.acknowledged
    assert load.ids | load_after.ids <= ids(tmp_path)
    assert all(len(names) == 1 for names in seen_by(tmp_path).values())


def test_the_number_of_workers_changes_under_load(tmp_path: Path) -> None:
    """Traces move to other workers, so one may have been in two; what was acknowledged is there."""
    with run(tmp_path) as daemon, Load(daemon, items=20, traces=25) as load:
        load.wait_for(500, daemon)
        change(daemon, "workers: 2", "workers: 3")
        wait_until(lambda: reloads(daemon, "success") == 1, daemon)
        wait_until(lambda: ready(daemon)[0] == 200, daemon)
        load.wait_for(500, daemon)
    assert load.ids <= ids(tmp_path)
    assert daemon.returncode == 0
