"""Same config, same input, our daemon and the real Collector: equal output. The cases are data: `cases/*.yaml`."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import pytest

from tests.integration.collector.harness import CASES, Case, Outcome, input_items, load_cases, run_cases
from tests.support.peers import (
    Collector,
    ConfiguredProcess,
    Daemon,
    PeerProcessError,
)
from tests.support.peers.canonical import describe_difference

# All cases of a file run when the first of them asks.
pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("both_daemons"), pytest.mark.timeout(300)]

FILES = {path.stem: load_cases(path) for path in sorted(CASES.glob("*.yaml"))}
SUBJECTS: dict[str, type[ConfiguredProcess]] = {"ours": Daemon, "theirs": Collector}


@functools.cache
def _results(file: str, subject: str) -> dict[str, Outcome | PeerProcessError]:
    return run_cases(SUBJECTS[subject], FILES[file])


def _outcome(file: str, subject: str, case: Case) -> Outcome:
    result = _results(file, subject)[case.name]
    if isinstance(result, PeerProcessError):
        pytest.fail(f"{subject} cannot run the case: {result}")
    return result


def _all(outcome: Outcome) -> Counter[Any]:
    return sum(outcome.items.values(), Counter())


def _parameters(*, equality: bool) -> list[Any]:
    """Answer all cases; all of a file go to one worker, because they share a process."""
    parameters = []
    for file, cases in FILES.items():
        for case in cases:
            marks = [pytest.mark.xdist_group(file)]
            if equality:
                marks += case.marks
            parameters.append(pytest.param(file, case, id=f"{file}-{case.name}".replace(" ", "-"), marks=marks))
    return parameters


@pytest.mark.parametrize(("file", "case"), _parameters(equality=True))
def test_equal_output(file: str, case: Case) -> None:
    """Every item with all fields, its scope, its resource and its way out is the same, and so is every answer."""
    theirs = _outcome(file, "theirs", case)
    ours = _outcome(file, "ours", case)
    assert ours.answers == theirs.answers
    for place, items in theirs.items.items():
        difference = describe_difference(ours.items[place], items)
        assert not difference, f"{place}: {difference}"
    if case.max_items is not None:
        assert max(ours.largest, theirs.largest) <= case.max_items


@pytest.mark.parametrize(("file", "case"), _parameters(equality=False))
def test_case_shows_something(file: str, case: Case) -> None:
    """The Collector changes what the case says it changes: a case that nothing happens in proves nothing."""
    theirs = _outcome(file, "theirs", case)
    if case.routing is None:
        assert (_all(theirs) == input_items(case)) == case.unchanged
    else:
        assert sum(1 for items in theirs.items.values() if items) > 1
