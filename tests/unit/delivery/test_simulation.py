"""Thousands of seeded schedules of delivery: options, faults, full disks, cancellations, deadlines and crashes.

See ``tests.support.simulation``. A seed that fails is named with the command that repeats it. The suite runs once all
native and once all Python in CI, with other seeds each time.
"""

from __future__ import annotations

import pytest

from tests.support.simulation import simulate
from untrace_pipeline import native
from untrace_pipeline.testing import run_with_fake_clock

BLOCK = 50
BLOCKS = 20
FIRST = 0 if native.codec().is_native else BLOCK * BLOCKS


@pytest.mark.parametrize("first", range(FIRST, FIRST + BLOCK * BLOCKS, BLOCK))
def test_every_item_has_exactly_one_end(first: int) -> None:
    """What was accepted arrives, or is counted where it ended; the ledger sums at every moment, also over crashes."""
    for seed in range(first, first + BLOCK):
        try:
            run_with_fake_clock(simulate(seed))
        except Exception as error:
            error.add_note(f"seed {seed}; repeat: python -m tests.support.simulation --seed {seed}")
            raise
