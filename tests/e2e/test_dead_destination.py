"""One of three destinations is dead for a while, in small; ten minutes of it, with latencies: `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.arena import Setup
from tests.soak.dead_destination import DeadDestination, How, Plan
from tests.soak.verdict import losses

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("how", ["down", "hang"])
def test_dead_destination_disturbs_nobody_and_gets_everything(how: How, tmp_path: Path) -> None:
    """The other two get everything meanwhile, once; the dead one gets everything when it is back."""
    plan = Plan(dead=2.0, before=0.5, how=how, rate=50.0, window=1.0, setup=Setup(), judge_times=False)
    proof = DeadDestination(plan, tmp_path)
    verdict = proof.run()
    assert not losses(verdict), str(verdict)
