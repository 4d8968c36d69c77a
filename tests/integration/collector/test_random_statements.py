"""Statements and conditions by chance on data by chance: the same outcome as the real Collector's."""

from __future__ import annotations

import functools

import pytest

from tests.integration.collector.harness import Case, Outcome, run_cases
from tests.integration.collector.inputs import INPUTS
from tests.support.peers import Collector, Daemon, PeerProcessError
from tests.support.peers.canonical import describe_difference
from tests.support.random_statements import random_condition, random_spans, random_statements

pytestmark = [
    pytest.mark.peer,
    pytest.mark.usefixtures("both_daemons"),
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("random statements"),
]

SEEDS = range(60)
SUBJECTS = {"ours": Daemon, "theirs": Collector}
INPUT = "by chance"


def statements_case(seed: int) -> Case:
    """Return a pipeline of four statements and a filter behind them."""
    processors = {
        "transform": {"error_mode": "silent", "trace_statements": list(random_statements(seed, 4))},
        "filter": {"error_mode": "silent", "trace_conditions": [f"span.kind == 99 or {random_condition(seed)}"]},
    }
    return Case("transform", f"seed {seed}", processors=processors, signals=("traces",), input=INPUT)


@functools.cache
def _results(subject: str) -> dict[str, Outcome | PeerProcessError]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(INPUTS, INPUT, lambda: {"traces": random_spans(7), "metrics": [], "logs": []})  # type: ignore[arg-type]
        return run_cases(SUBJECTS[subject], [statements_case(seed) for seed in SEEDS])


@pytest.mark.parametrize("seed", SEEDS)
def test_equal_outcome(seed: int) -> None:
    """Every span comes out with the same name, attributes and resource, and the same spans are dropped."""
    case = statements_case(seed)
    ours, theirs = _results("ours")[case.name], _results("theirs")[case.name]
    assert not isinstance(theirs, PeerProcessError), theirs
    assert not isinstance(ours, PeerProcessError), ours
    assert ours.answers == theirs.answers
    difference = describe_difference(ours.items["traces", ""], theirs.items["traces", ""])
    assert not difference, f"{case.processors}\n{difference}"
