"""kill -9 under load, in small; the long editions are programs: `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.arena import Setup
from tests.soak.crash import Crash, Plan
from tests.soak.damage import KINDS
from tests.soak.verdict import losses
from tests.support.chaos import Weights

pytestmark = pytest.mark.e2e

SHORT = {"longest_run": 0.5, "last_life": 0.5, "rate": 100.0}


async def test_killed_daemon_loses_nothing(tmp_path: Path) -> None:
    """Everything that was acknowledged arrives, whenever the daemon is killed; what comes twice was under way."""
    plan = Plan(kills=3, seed=3, setup=Setup(shutdown_timeout="1s"), **SHORT)
    verdict = await Crash(plan, tmp_path).run()
    assert not losses(verdict), str(verdict)


async def test_killed_daemon_with_failing_destinations_loses_nothing(tmp_path: Path) -> None:
    """The same with destinations that fail in every way; what they refuse lies in the dead letters, for a replay."""
    setup = Setup(dead_letters=True, shutdown_timeout="1s")
    plan = Plan(kills=2, seed=5, faults=Weights.wild(), setup=setup, **SHORT)
    verdict = await Crash(plan, tmp_path).run()
    assert not losses(verdict), str(verdict)


async def test_damaged_files_cost_what_was_damaged(tmp_path: Path) -> None:
    """Files of the queue that are damaged between the lives cost the requests that were hit, and no others."""
    setup = Setup(batch=True, shutdown_timeout="1s")
    proof = Crash(Plan(kills=3, seed=7, damage=KINDS, damages=1.0, stalls=0.7, setup=setup, **SHORT), tmp_path)
    verdict = await proof.run()
    assert not losses(verdict), str(verdict)
    assert proof.vandal.hit.files


async def test_killed_workers_lose_nothing(tmp_path: Path) -> None:
    """The same with several workers, of which one alone may be hit, or their supervisor."""
    plan = Plan(kills=2, seed=4, setup=Setup(workers=2, shutdown_timeout="1s"), **SHORT)
    verdict = await Crash(plan, tmp_path).run()
    assert not losses(verdict), str(verdict)


async def test_loss_would_be_seen(tmp_path: Path) -> None:
    """With a queue in memory a kill loses what waits there, and the verdict says so: the proof can fail."""
    plan = Plan(kills=4, seed=1, stalls=1.0, setup=Setup(queue="memory", shutdown_timeout="1s"), **SHORT)
    verdict = await Crash(plan, tmp_path).run()
    assert any("acknowledged items are missing" in fault for fault in verdict.faults), str(verdict)
