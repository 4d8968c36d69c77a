"""Statements by chance on values by chance: whole columns give what one row after the other gives; nothing breaks."""

from __future__ import annotations

import pytest

from tests.support.random_statements import random_condition, random_spans, random_statements
from untrace_pipeline.conditions import compile_condition
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal
from untrace_pipeline.errors import EvaluationError
from untrace_pipeline.statements import StatementSequence, compile_sequence, statement_level

pytestmark = pytest.mark.usefixtures("each_codec")

FIELDS = [Field(Level.RESOURCE, ATTRIBUTES), Field(Level.ITEM, ATTRIBUTES), Field(Level.ITEM, "name")]


def compiled(seed: int) -> StatementSequence:
    statements = random_statements(seed, 5)
    level = statement_level(statements, [], "", Signal.TRACES)
    return compile_sequence(statements, [], Signal.TRACES, level)


def spans(seed: int) -> Batch:
    (request,) = random_spans(seed, 18)
    return Batch(Signal.TRACES, request.SerializeToString())


@pytest.mark.parametrize("seed", range(80))
def test_the_way_makes_no_difference(seed: int) -> None:
    """Whatever way is chosen, what is written is what OTTL's own order writes, and the request is valid."""
    sequence, batch, reference = compiled(seed), spans(seed), spans(seed)
    sequence.run(batch)
    sequence._run_rows(reference, {})
    again, expected = (Batch(Signal.TRACES, one.to_otlp()) for one in (batch, reference))
    for field in FIELDS:
        assert repr(again.column(field)) == repr(expected.column(field))


@pytest.mark.parametrize("seed", range(80))
def test_running_changes_only_what_it_writes(seed: int) -> None:
    """Values are shared with other branches: statements never change one in place."""
    batch = spans(seed)
    twin = batch.copy()
    before = [repr(twin.column(field)) for field in FIELDS]
    compiled(seed).run(batch)
    assert [repr(twin.column(field)) for field in FIELDS] == before


@pytest.mark.parametrize("seed", range(80))
def test_conditions_always_answer(seed: int) -> None:
    """A condition answers true, false, or why not, for whatever values."""
    answers = compile_condition(f"span.kind == 99 or {random_condition(seed)}", Signal.TRACES).answers(spans(seed))
    assert len(answers) == 18
    assert all(isinstance(answer, bool | EvaluationError) for answer in answers)
