"""From a tree of OTTL to an expression: what names, functions and operators mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from untrace_pipeline.conditions.compare import Comparison
from untrace_pipeline.conditions.expression import (
    Expression,
    Kind,
    all_of,
    any_of,
    apply,
    comparison,
    constant,
    negated,
)
from untrace_pipeline.conditions.functions import FUNCTIONS
from untrace_pipeline.conditions.indexing import reach_strictly
from untrace_pipeline.conditions.names import CONTEXTS, ENUMERATORS, suggestion
from untrace_pipeline.conditions.paths import Scope
from untrace_pipeline.conditions.tree import (
    Binary,
    Call,
    Enumerator,
    ListOf,
    Literal,
    MapOf,
    Node,
    Path,
    Unary,
)
from untrace_pipeline.conditions.values import wrap_int64
from untrace_pipeline.data import Level, Signal, Value
from untrace_pipeline.errors import ConditionError, EvaluationError

__all__ = [
    "compile_ottl",
    "compile_tree",
    "compile_value",
    "elements",
    "innermost_level",
    "named_level",
    "paths_of",
    "single",
]


def compile_ottl(text: str, signal: Signal, level: Level) -> Expression:
    """Compile the text of a condition. Raises :class:`ConditionError`."""
    from untrace_pipeline.conditions.syntax import parse_condition  # noqa: PLC0415  the parser is 60 ms to import

    return compile_tree(parse_condition(text), Scope(signal, level, text))


def compile_tree(node: Node, scope: Scope) -> Expression:
    """Compile a parsed condition. Raises :class:`ConditionError`."""
    try:
        return _boolean(node, scope)
    except RecursionError:
        msg = "the condition is nested too deep"
        raise ConditionError(msg) from None


def innermost_level(texts: Sequence[str], signal: Signal) -> Level:
    """Return the level of the innermost context that the paths of conditions name; without any path, that of items.

    Raises :class:`ConditionError` where a path leaves its context out and no other names one.
    """
    from untrace_pipeline.conditions.syntax import parse_condition  # noqa: PLC0415  see above

    return named_level([(text, path) for text in texts for path in paths_of(parse_condition(text))], signal)


def named_level(paths: Sequence[tuple[str, Path]], signal: Signal) -> Level:
    """Return the level of the innermost context that paths name, each with the text it stands in.

    Without any path, that of items. Raises :class:`ConditionError` where a path leaves its context out and no other
    names one.
    """
    levels: list[Level] = []
    bare: ConditionError | None = None
    for text, path in paths:
        name = path.segments[0].name
        if name in CONTEXTS and len(path.segments) > 1:
            levels.append(CONTEXTS[name][0])
        elif name not in {"otelcol", "request"} and bare is None:
            msg = f"which {name}? Name the context: {', '.join(_outermost(signal))}"
            bare = ConditionError(msg, text, path.position)
    if not levels and bare is not None:
        raise bare
    return max(levels, default=Level.ITEM)


def _outermost(signal: Signal) -> list[str]:
    return [f"{name}." for name, (_, only) in CONTEXTS.items() if only in {None, signal}]


def paths_of(node: Node) -> list[Path]:
    """Return every path in a tree."""
    match node:
        case Path():
            keys = [key for segment in node.segments for key in segment.keys]
            return [node, *[path for key in keys for path in paths_of(key)]]
        case Binary():
            return paths_of(node.left) + paths_of(node.right)
        case Unary():
            return paths_of(node.operand)
        case Call():
            below = [argument for _, argument in node.arguments]
        case ListOf():
            below = list(node.elements)
        case MapOf():
            below = [entry for _, entry in node.entries]
        case _:
            return []
    return [path for one in below for path in paths_of(one)]


def _boolean(node: Node, scope: Scope) -> Expression:
    match node:
        case Binary(operator="and"):
            return all_of([_boolean(node.left, scope), _boolean(node.right, scope)])
        case Binary(operator="or"):
            return any_of([_boolean(node.left, scope), _boolean(node.right, scope)])
        case Unary(operator="not"):
            return negated(_boolean(node.operand, scope))
        case Binary() if node.operator not in _ARITHMETIC:
            return _binary(node, scope)
        case Path():
            message = "a path is no condition by itself: compare it, for example with == true or != nil"
            raise scope.fail(message, node.position)
        case Call() | Binary() | Literal():
            expression = compile_value(node, scope)
        case _:
            raise scope.fail("this is no condition", node.position)
    if expression.constant and not isinstance(expression.constant[0], bool):
        raise scope.fail("this is no condition: its value is not true or false", node.position)
    return expression if expression.boolean else apply(_checked, (expression,), boolean=True)


def _checked(value: object) -> bool:
    if isinstance(value, bool):
        return value
    msg = f"a condition must be true or false, not {type(value).__name__}"
    raise EvaluationError(msg)


def compile_value(node: Node, scope: Scope) -> Expression:
    """Compile a parsed value. Raises :class:`ConditionError`."""
    match node:
        case Literal():
            return constant(node.value)
        case Enumerator():
            return _enumerator(node, scope)
        case Path():
            keys = [[compile_value(key, scope) for key in segment.keys] for segment in node.segments]
            return scope.resolve(node, keys)
        case Call():
            return _call(node, scope)
        case ListOf():
            return _list(node, scope)
        case MapOf():
            return _map(node, scope)
        case Binary() if node.operator in _ARITHMETIC:
            return _binary(node, scope)
        case Unary() if node.operator in {"-", "+"}:
            return _signed(node, scope)
    raise scope.fail("a condition cannot be used as a value", node.position)


def _enumerator(node: Enumerator, scope: Scope) -> Expression:
    number = ENUMERATORS.get(node.name)
    if number is None:
        raise scope.fail(f"{node.name} is no constant{suggestion(node.name, ENUMERATORS)}", node.position)
    return constant(number)


def _list(node: ListOf, scope: Scope) -> Expression:
    elements = [compile_value(one, scope) for one in node.elements]
    return apply(lambda *values: list(values), elements, safe=True) if elements else constant([])


def _map(node: MapOf, scope: Scope) -> Expression:
    names = [name for name, _ in node.entries]
    if not names:
        return constant({})
    return apply(
        lambda *values: dict(zip(names, values, strict=True)),
        [compile_value(entry, scope) for _, entry in node.entries],
        safe=True,
    )


def _call(node: Call, scope: Scope) -> Expression:
    function = FUNCTIONS.get(node.name)
    if function is None:
        kind = "function" if node.name[0].isupper() else "function; functions begin with a capital letter"
        raise scope.fail(f"{node.name} is no known {kind}{suggestion(node.name, FUNCTIONS)}", node.position)
    try:
        places = function.bind([name for name, _ in node.arguments])
        given = {
            place: elements(argument, scope) if listed else single(compile_value(argument, scope))
            for (place, listed), (_, argument) in zip(places, node.arguments, strict=True)
        }
        result = function.build(scope, given)
    except ConditionError as error:
        raise error if error.position is not None else scope.fail(str(error), node.position) from None
    keys = [compile_value(key, scope) for key in node.keys]
    return apply(reach_strictly, (result, *keys)) if keys else result


def elements(node: Node, scope: Scope) -> list[Expression]:
    """Compile the elements of a list that is written out. Raises :class:`ConditionError`."""
    if not isinstance(node, ListOf):
        raise scope.fail("a list written out is needed here: [a, b]", node.position)
    return [single(compile_value(one, scope)) for one in node.elements]


def single(expression: Expression) -> Expression:
    """Return the first of several values: functions take one."""
    if expression.kind is not Kind.MANY:
        return expression
    return apply(lambda many: many[0] if many else None, (expression,), safe=True)


def _signed(node: Unary, scope: Scope) -> Expression:
    operand = compile_value(node.operand, scope)
    if node.operator == "+":
        return operand
    try:
        return apply(_negative, (operand,), kind=operand.kind)
    except ConditionError as error:
        raise scope.fail(str(error), node.position) from None


def _negative(value: object) -> Value:
    if type(value) is int:
        return wrap_int64(-value)
    if type(value) is float:
        return -value
    msg = f"{type(value).__name__} has no negative"
    raise EvaluationError(msg)


def _binary(node: Binary, scope: Scope) -> Expression:
    left, right = compile_value(node.left, scope), compile_value(node.right, scope)
    try:
        if node.operator not in _ARITHMETIC:
            return comparison(Comparison(node.operator), left, right)
        kind = _result_kind(node.operator, left.kind, right.kind)
        return apply(_ARITHMETIC[node.operator], (left, right), kind=kind)
    except ConditionError as error:
        raise scope.fail(str(error), node.position) from None


def _result_kind(operator: str, left: Kind, right: Kind) -> Kind:
    """Return what arithmetic over times and durations gives."""
    kind = _TIME_ARITHMETIC.get((operator, left, right))
    if kind is not None:
        return kind
    msg = f"{operator} does not work on a {left.value} and a {right.value}"
    raise ConditionError(msg)


_TIME_ARITHMETIC = {
    **{(operator, Kind.VALUE, Kind.VALUE): Kind.VALUE for operator in "+-*/"},
    ("+", Kind.TIME, Kind.DURATION): Kind.TIME,
    ("-", Kind.TIME, Kind.DURATION): Kind.TIME,
    ("-", Kind.TIME, Kind.TIME): Kind.DURATION,
    ("+", Kind.DURATION, Kind.TIME): Kind.TIME,
    ("+", Kind.DURATION, Kind.DURATION): Kind.DURATION,
    ("-", Kind.DURATION, Kind.DURATION): Kind.DURATION,
}


def _arithmetic(whole: Callable[[int, int], int], real: Callable[[float, float], float]) -> Callable[..., Value]:
    def calculate(a: object, b: object) -> Value:
        if type(a) is int and type(b) is int:
            return wrap_int64(whole(a, b))
        if type(a) in {int, float} and type(b) in {int, float}:
            return real(float(a), float(b))  # type: ignore[arg-type]
        msg = f"numbers are needed, not {type(a).__name__} and {type(b).__name__}"
        raise EvaluationError(msg)

    return calculate


def _divide_whole(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


_ARITHMETIC: dict[str, Callable[..., Value]] = {
    "+": _arithmetic(lambda a, b: a + b, lambda a, b: a + b),
    "-": _arithmetic(lambda a, b: a - b, lambda a, b: a - b),
    "*": _arithmetic(lambda a, b: a * b, lambda a, b: a * b),
    "/": _arithmetic(_divide_whole, lambda a, b: a / b),
}
