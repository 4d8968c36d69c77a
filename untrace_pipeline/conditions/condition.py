"""Condition: compiled once, asked with a batch, answers with a mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from untrace_pipeline.conditions.config import ConditionConfig, ConditionSource
from untrace_pipeline.conditions.expression import Expression, Frame
from untrace_pipeline.conditions.form import compile_form
from untrace_pipeline.conditions.locators import Locate, locate
from untrace_pipeline.conditions.names import CONTEXTS
from untrace_pipeline.conditions.ottl import compile_ottl, innermost_level
from untrace_pipeline.data import Batch, Context, Field, Level, Signal
from untrace_pipeline.errors import ConditionError, EvaluationError

__all__ = ["Condition", "Conditions", "compile_condition", "group_level"]


class Condition:
    """A question to every row of a level, answered for a whole batch at once. Immutable, safe to share."""

    __slots__ = ("_expression", "_order", "level", "text")

    def __init__(self, expression: Expression, level: Level, text: str = "") -> None:
        self._expression = expression
        self._order = tuple(expression.fields)
        self.level = level
        self.text = text

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns that are read; empty if only the request's context is asked."""
        return self._order

    def answers(self, batch: Batch) -> list[bool | EvaluationError]:
        """Return true, false or, where there is no answer, the error of each row of the level."""
        return self._expression.evaluate(_frame(batch, self.level, self._order))

    def mask(self, batch: Batch) -> list[bool]:
        """Return whether each row of the level satisfies the condition; a row without an answer does not."""
        answers = self.answers(batch)
        if self._expression.safe:
            return answers  # type: ignore[return-value]
        return [answer is True for answer in answers]

    def holds(self, context: Context) -> bool:
        """Answer a condition that has no ``fields``, from the context of the request alone; nothing is decoded."""
        return self._expression.evaluate(Frame(context, 1, self.level))[0] is True


class Conditions:
    """Several conditions over one level: does any hold? Their columns are read in one go."""

    __slots__ = ("_conditions", "_order", "level")

    def __init__(self, conditions: Sequence[Condition], level: Level) -> None:
        self._conditions = tuple(conditions)
        self._order = tuple(dict.fromkeys(field for condition in conditions for field in condition.fields))
        self.level = level

    def any(self, batch: Batch) -> tuple[list[bool], str | None]:
        """Return a mask, and what went wrong first if a row had no answer: condition and cause.

        A condition without an answer for a row is passed over there.
        """
        frame = _frame(batch, self.level, self._order)
        mask = [False] * frame.size
        trouble = None
        for condition in self._conditions:
            answers = condition._expression.evaluate(frame)
            if not condition._expression.safe and trouble is None:
                trouble = _first_trouble(condition, answers)
            mask = [seen or answer is True for seen, answer in zip(mask, answers, strict=True)]
        return mask, trouble

    def each(self, batch: Batch) -> Iterator[tuple[list[bool], str | None]]:
        """Yield a mask for each condition, and what went wrong first in it, as :meth:`any` does for all together.

        A condition is asked when its turn comes; the columns of all are read in one go.
        """
        frame = _frame(batch, self.level, self._order)
        for condition in self._conditions:
            answers = condition._expression.evaluate(frame)
            if condition._expression.safe:
                yield answers, None
            else:
                yield [answer is True for answer in answers], _first_trouble(condition, answers)


def _first_trouble(condition: Condition, answers: Sequence[bool | EvaluationError]) -> str | None:
    error = next((answer for answer in answers if isinstance(answer, EvaluationError)), None)
    return None if error is None else f"{condition.text}: {error}"


def _frame(batch: Batch, level: Level, fields: tuple[Field, ...]) -> Frame:
    if not fields:
        size = batch.item_count if level is Level.ITEM else batch.row_count(level)
        return Frame(batch.context, size, level, {}, batch)
    columns = batch.columns(fields, level)
    return Frame(batch.context, len(columns[0]), level, dict(zip(fields, columns, strict=True)), batch)


def compile_condition(
    source: ConditionSource, signal: Signal, level: Level = Level.ITEM, find: Locate = locate
) -> Condition:
    """Compile a condition of either form for the rows of a level.

    ``find`` says what the paths of our own form read: :func:`locate`, or :func:`locate_core` where LLM calls are meant.
    Raises :class:`ConditionError`, which points into the text. Equal strings are compiled once.
    """
    if isinstance(source, str):
        return _compile_text(source, signal, level)
    return Condition(compile_form(source, signal, level, find), level, _shown(source))


def group_level(sources: Sequence[ConditionSource], context: str, signal: Signal) -> Level:
    """Return the level of conditions that stand together: that of their context, or of the innermost one they name.

    Conditions of our own form name none; they are about items. Raises :class:`ConditionError` for a context that the
    signal does not have, and where paths leave their context out and nothing says which it is.
    """
    if context:
        return _named_level(context, signal)
    texts = [source for source in sources if isinstance(source, str)]
    return innermost_level(texts, signal) if texts else Level.ITEM


def _named_level(context: str, signal: Signal) -> Level:
    known = {name: level for name, (level, only) in CONTEXTS.items() if only in {None, signal}}
    if context.lower() not in known:
        msg = f"{context!r} is no context of {signal}; there are: {', '.join(known)}"
        raise ConditionError(msg)
    return known[context.lower()]


@lru_cache(maxsize=1024)
def _compile_text(text: str, signal: Signal, level: Level) -> Condition:
    return Condition(compile_ottl(text, signal, level), level, text)


def _shown(source: ConditionConfig) -> str:
    return str(source.model_dump(by_alias=True, exclude_unset=True, mode="json"))
