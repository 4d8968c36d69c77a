"""Statements that stand together: which of them can work on whole columns, and running them.

OTTL runs all statements on one row, then on the next. On columns it is statement by statement; the outcome is the same
as long as rows do not see each other's edits. They can where a statement writes to a row that several others share, to
the resource of a span, say. Then one of three ways is chosen when the statements are compiled:

- *columns*: nobody reads what was written there, and nobody else writes it;
- *outer first*: these statements depend on nothing but the shared rows, and whoever reads what they write stands after
  them. They run on the shared rows, twice: if the second time changes nothing, no further time would;
- *row by row*, as OTTL does it; also where the second time did change something.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from untrace_pipeline.conditions.expression import Expression, Frame
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal
from untrace_pipeline.errors import EvaluationError
from untrace_pipeline.statements.compiler import compile_statement, written_level
from untrace_pipeline.statements.edit import Step, Trouble
from untrace_pipeline.statements.reshaping import MOST_ROUNDS, Metrics
from untrace_pipeline.statements.workspace import Workspace

__all__ = ["StatementSequence", "Way", "arrange", "compile_sequence"]


class Way(enum.Enum):
    """How statements that stand together run."""

    COLUMNS = "columns"
    OUTER_FIRST = "outer first"
    ROWS = "rows"
    ROUNDS = "rounds"
    """Metrics change their type, or new ones are made."""


@dataclass(frozen=True, slots=True)
class _Plan:
    way: Way
    outer: tuple[Step, ...] = ()
    outer_level: Level = Level.RESOURCE
    own: tuple[Step, ...] = ()


class StatementSequence:
    """Statements over one level, run in order on the rows that satisfy one of the conditions. Safe to share."""

    def __init__(self, steps: Sequence[Step], conditions: Sequence[Expression], level: Level, plan: _Plan) -> None:
        self.level = level
        self._steps = tuple(steps)
        self._conditions = tuple(conditions)
        self._plan = plan
        self._whole = _whole(self._steps)
        self._fields = _fields(steps, conditions)

    @property
    def way(self) -> Way:
        """How the statements run."""
        return self._plan.way

    def run(self, batch: Batch) -> list[tuple[str, Trouble]]:
        """Edit the batch. Returns what went wrong, by the text of the statement."""
        troubles: dict[str, Trouble] = {}
        plan = self._plan
        if plan.way is Way.OUTER_FIRST and self._run_outer(batch, troubles):
            self._run_columns(batch, plan.own, troubles)
        elif plan.way is Way.COLUMNS:
            self._run_columns(batch, self._steps, troubles)
        elif plan.way is Way.ROUNDS:
            self._run_rounds(batch, troubles)
        else:
            troubles.clear()
            self._run_rows(batch, troubles)
        return [(text, trouble) for text, trouble in troubles.items() if trouble.rows]

    def _run_columns(self, batch: Batch, steps: Sequence[Step], troubles: dict[str, Trouble]) -> None:
        workspace = Workspace(batch, self.level, self._whole)
        if workspace.size:
            workspace.fetch(self._fields)
            self._apply(workspace, steps, self._meant(workspace, range(workspace.size), troubles), troubles)
            workspace.write()

    def _run_rows(self, batch: Batch, troubles: dict[str, Trouble]) -> None:
        workspace = Workspace(batch, self.level, self._whole)
        for row in range(workspace.size):
            self._apply(workspace, self._steps, self._meant(workspace, (row,), troubles), troubles)
        workspace.write()

    def _run_rounds(self, batch: Batch, troubles: dict[str, Trouble]) -> None:
        metrics = Metrics(batch, list(range(batch.row_count(self.level))))
        for _ in range(MOST_ROUNDS):
            self._run_round(metrics, troubles)
            if not metrics.next_round():
                return
        error = EvaluationError("new metrics make new ones without end: exclude them by a condition")
        troubles.setdefault("metrics", Trouble()).add(error)

    def _run_round(self, metrics: Metrics, troubles: dict[str, Trouble]) -> None:
        workspace = Workspace(metrics.batch, self.level, self._whole)
        metrics.now = list(self._meant(workspace, metrics.now, troubles))
        for step in self._steps:
            if step.reshape is None:
                self._apply(workspace, [step], metrics.now, troubles)
                continue
            trouble = troubles.setdefault(step.text, Trouble())
            frame = workspace.frame(metrics.now)
            rows = metrics.now if step.where is None else _holding(step.where, frame, metrics.now, trouble)
            if rows:
                arguments = step.reshape.values(workspace, rows)
                workspace.write()
                metrics.reshape(step.reshape, rows, arguments, trouble)
                workspace = Workspace(metrics.batch, self.level, self._whole)
        workspace.write()

    def _run_outer(self, batch: Batch, troubles: dict[str, Trouble]) -> bool:
        """Run the statements on shared rows; return whether running them again changes nothing."""
        plan = self._plan
        rows = sorted(set(batch.parents(self.level, plan.outer_level)))
        workspace = Workspace(batch, plan.outer_level, _whole(plan.outer))
        self._apply(workspace, plan.outer, rows, troubles)
        once = workspace.snapshot()
        self._apply(workspace, plan.outer, rows, {})
        if workspace.snapshot() != once:
            return False
        workspace.write()
        return True

    def _meant(self, workspace: Workspace, rows: Sequence[int], troubles: dict[str, Trouble]) -> Sequence[int]:
        """Return the rows that satisfy one of the conditions."""
        if not self._conditions:
            return rows
        frame = workspace.frame(rows)
        trouble = troubles.setdefault("conditions", Trouble())
        met: set[int] = set()
        for condition in self._conditions:
            met.update(_holding(condition, frame, rows, trouble))
        return [row for row in rows if row in met]

    @staticmethod
    def _apply(workspace: Workspace, steps: Sequence[Step], rows: Sequence[int], troubles: dict[str, Trouble]) -> None:
        for step in steps:
            trouble = troubles.setdefault(step.text, Trouble())
            meant = rows
            if step.where is not None:
                meant = _holding(step.where, workspace.frame(rows), rows, trouble)
            if len(meant):
                for edit in step.edits:
                    edit.run(workspace, meant, trouble)


def _holding(condition: Expression, frame: Frame, rows: Sequence[int], trouble: Trouble) -> list[int]:
    answers = condition.evaluate(frame)
    if not condition.safe:
        for answer in answers:
            if answer.__class__ is EvaluationError:
                trouble.add(answer)
    return [row for row, answer in zip(rows, answers, strict=True) if answer is True]


def compile_sequence(
    statements: Sequence[str], conditions: Sequence[Expression], signal: Signal, level: Level
) -> StatementSequence:
    """Compile statements that stand together, in order. Raises :class:`ConditionError`."""
    steps = [compile_statement(text, signal, level) for text in statements]
    return StatementSequence(steps, conditions, level, _plan(steps, conditions, signal, level))


def arrange(steps: Sequence[Step], level: Level) -> StatementSequence:
    """Return steps that were made in another way than out of statements as a sequence."""
    outer = _writing_outside(steps, level)
    way = Way.COLUMNS if not outer or _apart(steps, outer, ()) else Way.ROWS
    return StatementSequence(steps, (), level, _Plan(way))


def _writing_outside(steps: Sequence[Step], level: Level) -> list[Step]:
    return [step for step in steps if any(field.level is not level for field in step.writes)]


def _fields(steps: Sequence[Step], conditions: Sequence[Expression]) -> list[Field]:
    fields = [field for step in steps for field in step.reads]
    return list(dict.fromkeys(fields + [field for condition in conditions for field in condition.fields]))


def _whole(steps: Sequence[Step]) -> frozenset[Level]:
    """Return the levels whose attributes are needed as maps."""
    fields = [field for step in steps for field in (*step.reads, *step.writes)]
    return frozenset(field.level for field in fields if field.name == ATTRIBUTES and field.key is None)


# ------------------------------------------------------------- choosing a way


def _plan(steps: Sequence[Step], conditions: Sequence[Expression], signal: Signal, level: Level) -> _Plan:
    if any(step.reshape is not None for step in steps):
        return _Plan(Way.ROUNDS)
    outer = _writing_outside(steps, level)
    if not outer or _apart(steps, outer, conditions):
        return _Plan(Way.COLUMNS)
    levels = {written_level(step.text, signal, level) for step in outer}
    if len(levels) == 1 and level not in levels and not conditions and _readers_follow(steps, outer):
        (above,) = levels
        hoisted = tuple(compile_statement(step.text, signal, above) for step in outer)
        return _Plan(Way.OUTER_FIRST, hoisted, above, tuple(step for step in steps if step not in outer))
    return _Plan(Way.ROWS)


def _apart(steps: Sequence[Step], outer: Sequence[Step], conditions: Sequence[Expression]) -> bool:
    """Return whether nobody reads what is written to shared rows, and nothing there is written twice."""
    written = [field for step in outer for field in step.writes]
    if any(_touch(one, other) for place, one in enumerate(written) for other in written[:place]):
        return False
    return not any(_touch(field, one) for field in _fields(steps, conditions) for one in written)


def _readers_follow(steps: Sequence[Step], outer: Sequence[Step]) -> bool:
    """Return whether everything that reads what is written to shared rows stands after all that writes there."""
    last = max(place for place, step in enumerate(steps) if step in outer)
    written = [field for step in outer for field in step.writes]
    return not any(
        _touch(field, one) for step in steps[:last] if step not in outer for field in step.reads for one in written
    )


def _touch(one: Field, other: Field) -> bool:
    """Return whether a change of one field can be seen in the other."""
    return (one.level, one.name) == (other.level, other.name) and (one.key is None or other.key in {None, one.key})
