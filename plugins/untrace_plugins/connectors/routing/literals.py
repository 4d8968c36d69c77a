"""What conditions demand, as far as it can be known without data: for the lint of rules.

A condition becomes terms of which one must hold; a term is literals that must all hold: one question about one field.
What cannot be looked into, such as OTTL, is a literal that only equals itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import orjson

from untrace_pipeline.conditions import ConditionConfig, ConditionSource, Operator, core_name

__all__ = ["Literal", "Term", "contradiction", "implied", "terms_of"]

MOST_TERMS = 64
"""More are not looked into: the lint says nothing about such a condition."""
_NUMBERS = frozenset(
    {
        "cost",
        "tokens",
        "latency_ms",
        "time_to_first_token_ms",
        "tokens_per_second",
        "start_time",
        "end_time",
        "duration_nanos",
        "response.usage.prompt_tokens",
        "response.usage.completion_tokens",
        *(f"tokens.{part}" for part in ("cache_read", "cache_write", "reasoning")),
        *(f"cost.{part}" for part in ("input", "output", "cache_read", "cache_write")),
    }
)
_TEXTS = frozenset({"model", "provider", "environment", "application", "session_id", "user_id", "operation", "name"})
_MANY = frozenset({"tags", "error.code", "response.finish_reason"})
"""Fields that may have several values at once, of which any may satisfy a condition."""
_ORDER = {
    Operator.GT: lambda a, b: a > b,
    Operator.GTE: lambda a, b: a >= b,
    Operator.LT: lambda a, b: a < b,
    Operator.LTE: lambda a, b: a <= b,
}
_LOWER, _UPPER = (Operator.GT, Operator.GTE), (Operator.LT, Operator.LTE)


@dataclass(frozen=True, slots=True)
class Literal:
    """One question about one field, or a condition that cannot be looked into; or that it does not hold."""

    field: str
    operator: Operator | None
    written: str
    """The value as JSON, or the condition itself."""
    positive: bool = True

    @property
    def value(self) -> Any:
        """What the field is compared with."""
        return orjson.loads(self.written)

    @property
    def single(self) -> bool:
        """Whether the field has one value at most, as far as is known."""
        known = not any(sign in self.field for sign in ("*", "?", "..")) and not self.field.startswith("request[")
        return self.operator is not None and known and self.field not in _MANY

    def negated(self) -> Literal:
        """Return the opposite."""
        return Literal(self.field, self.operator, self.written, not self.positive)

    def __str__(self) -> str:
        text = self.written if self.operator is None else f"{self.field} {self.operator} {self.written}"
        return text if self.positive else f"not {text}"


Term: TypeAlias = frozenset[Literal]


def terms_of(source: ConditionSource, *, positive: bool = True) -> list[Term] | None:
    """Return terms of which one must hold, in order; ``None`` if there are too many."""
    if isinstance(source, str):
        return [_opaque(source.strip(), positive)]
    if source.not_ is not None:
        return terms_of(source.not_, positive=not positive)
    if source.field is not None:
        return [frozenset({_literal(source, positive)})]
    parts = [terms_of(one, positive=positive) for one in source.all or source.any or ()]
    if any(part is None for part in parts):
        return None
    known = [part for part in parts if part is not None]
    if (source.all is not None) is positive:
        return _product(known)
    joined = [term for part in known for term in part]
    return joined if len(joined) <= MOST_TERMS else None


def _opaque(text: str, positive: bool) -> Term:
    literal = Literal("", None, text, positive)
    if text not in {"true", "false"}:
        return frozenset({literal})
    return frozenset() if (text == "true") is positive else frozenset({literal, literal.negated()})


def _product(parts: Iterable[Sequence[Term]]) -> list[Term] | None:
    found: list[Term] = [frozenset()]
    for part in parts:
        if len(found) * len(part) > MOST_TERMS:
            return None
        found = [term | other for term in found for other in part]
    return found


def _literal(source: ConditionConfig, positive: bool) -> Literal:
    assert source.field is not None
    operator, value = source.operator, source.value
    if operator is Operator.NEQ:
        operator, positive = Operator.EQ, not positive
    if operator is Operator.EXISTS:
        value, positive = True, positive is (value is not False)
    if operator is Operator.EQ and value is None:
        operator, value, positive = Operator.EXISTS, True, not positive
    written = orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS).decode()
    return Literal(core_name(source.field), operator, written, positive)


# -------------------------------------------------------------- contradiction


def contradiction(term: Term) -> str:
    """Return why a term can never hold; nothing where it may."""
    for literal in sorted(term, key=str):
        if literal.positive and literal.negated() in term:
            return f"{literal} and its opposite cannot both hold"
        if literal.positive and (why := _impossible(literal)):
            return why
    for field in sorted({literal.field for literal in term if literal.single}):
        if why := _conflict(field, [one for one in term if one.field == field and one.operator is not None]):
            return why
    return ""


def _impossible(literal: Literal) -> str:
    """Return why a question is answered with no whatever the data is."""
    operator = literal.operator
    if operator is None or operator in {Operator.EXISTS, Operator.REGEX}:
        return ""
    values = literal.value if operator is Operator.IN else [literal.value]
    if operator in _ORDER and not isinstance(literal.value, str) and not _is_number(literal.value):
        return f"{literal}: only numbers and texts are larger or smaller"
    if literal.field in _NUMBERS and (operator is Operator.CONTAINS or not any(map(_is_number, values))):
        return f"{literal}: {literal.field} is a number"
    if literal.field in _TEXTS and not any(isinstance(value, str) for value in values):
        return f"{literal}: {literal.field} is a text"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _conflict(field: str, literals: Sequence[Literal]) -> str:
    words = " and ".join(sorted(str(literal) for literal in literals))
    positive = [one for one in literals if one.positive]
    absent = any(one.operator is Operator.EXISTS and not one.positive for one in literals)
    if absent and positive:
        return f"{words}: {field} would have to be there and not be there"
    values = _candidates(literals)
    if values is not None and not values:
        return f"{words}: no value of {field} satisfies all of them"
    lower, upper = _bound(positive, _LOWER, max), _bound(positive, _UPPER, min)
    if values is None and lower is not None and upper is not None and not _room(lower, upper, positive):
        return f"{words}: nothing is larger than {lower:g} and smaller than {upper:g}"
    return ""


def _candidates(literals: Sequence[Literal]) -> list[Any] | None:
    """Return the values that a field can have so that all questions hold; ``None`` if they cannot be listed."""
    lists = [one.value if one.operator is Operator.IN else [one.value] for one in literals if _pins(one)]
    if not lists:
        return None
    return [value for value in lists[0] if all(_holds(one, value) is one.positive for one in literals)]


def _pins(literal: Literal) -> bool:
    if not literal.positive or literal.operator not in {Operator.EQ, Operator.IN}:
        return False
    values = literal.value if literal.operator is Operator.IN else [literal.value]
    return not any(isinstance(value, str) and "*" in value for value in values)


def _holds(literal: Literal, value: Any) -> bool:
    """Answer a question, its sign left aside, for a known value."""
    operator, wanted = literal.operator, literal.value
    if operator is Operator.EXISTS:
        return value is not None
    if operator is Operator.EQ:
        return _equal(wanted, value)
    if operator is Operator.IN:
        return any(_equal(one, value) for one in wanted)
    if operator is Operator.CONTAINS:
        return wanted in value if isinstance(value, str) and isinstance(wanted, str) else False
    if operator is Operator.REGEX:
        return isinstance(value, str) and _pattern(wanted).search(value) is not None
    comparable = (_is_number(wanted) and _is_number(value)) or (isinstance(wanted, str) and isinstance(value, str))
    return operator is not None and comparable and bool(_ORDER[operator](value, wanted))


def _equal(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, str) and "*" in wanted and isinstance(value, str):
        return re.fullmatch(".*".join(re.escape(part) for part in wanted.split("*")), value, re.DOTALL) is not None
    return bool(wanted == value) and isinstance(wanted, bool) == isinstance(value, bool)


@lru_cache(maxsize=64)
def _pattern(text: str) -> Any:
    import re2  # noqa: PLC0415  the engine that conditions use

    return re2.compile(text)


def _bound(literals: Sequence[Literal], operators: Sequence[Operator], choose: Any) -> float | None:
    values = [one.value for one in literals if one.operator in operators and _is_number(one.value)]
    return choose(values) if values else None


def _room(lower: float, upper: float, literals: Sequence[Literal]) -> bool:
    """Return whether a number lies between the bounds."""
    if lower != upper:
        return lower < upper
    return all(one.operator not in {Operator.GT, Operator.LT} for one in literals if one.value == lower)


# ---------------------------------------------------------------- implication


def implied(term: Term, weaker: Term) -> bool:
    """Return whether everything that satisfies a term satisfies another one too, as far as is known."""
    return all(_follows(literal, term) for literal in weaker)


def _follows(literal: Literal, term: Term) -> bool:
    if literal in term:
        return True
    known = [one for one in term if one.field == literal.field and one.operator is not None and one.single]
    if not known or literal.operator is None:
        return False
    values = _candidates(known)
    if values is not None:
        return all(_holds(literal, value) is literal.positive for value in values)
    if not literal.positive:
        return False
    if literal.operator is Operator.EXISTS:
        return any(one.positive for one in known)
    return any(one.positive and _narrower(one, literal) for one in known)


def _narrower(one: Literal, other: Literal) -> bool:
    """Return whether a question with a bound or a pattern is stricter than another one."""
    if other.operator is Operator.EQ and one.operator is Operator.EQ:
        return _is_prefix(other.value) and isinstance(one.value, str) and one.value.startswith(other.value[:-1])
    if not _is_number(one.value) or not _is_number(other.value):
        return False
    if other.operator in _LOWER and one.operator in _LOWER:
        return bool(one.value > other.value) or (one.value == other.value and one.operator is Operator.GT)
    if other.operator in _UPPER and one.operator in _UPPER:
        return bool(one.value < other.value) or (one.value == other.value and one.operator is Operator.LT)
    return False


def _is_prefix(value: Any) -> bool:
    return isinstance(value, str) and value.endswith("*") and "*" not in value[:-1]
