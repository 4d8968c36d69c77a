"""The grammar of OTTL (pkg/ottl/LANGUAGE.md): from text to a tree. What names mean is decided in ``ottl`` and
``statements``.

The grammar is a little wider than OTTL's own, because OTTL's needs more than one token of look-ahead to tell
``(1 + 2) > x`` from ``(a == b) and c``; what is too wide is refused by the compiler, with a better message.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Any, cast

from lark import Lark, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from untrace_pipeline.conditions.tree import (
    Binary,
    Call,
    Enumerator,
    ListOf,
    Literal,
    MapOf,
    Node,
    Path,
    Segment,
    Statement,
    Unary,
)
from untrace_pipeline.data import Value
from untrace_pipeline.errors import ConditionError

__all__ = ["parse_condition", "parse_statement", "parse_value"]

_GRAMMAR = r"""
statement: call ["where" or_]
condition: or_
value: sum
?or_: and_ | or_ "or" and_             -> binary_or
?and_: not_ | and_ "and" not_          -> binary_and
?not_: comparison | "not" not_         -> negation
?comparison: sum | sum COMPARISON sum  -> binary
?sum: product | sum ADDITIVE product   -> binary
?product: sign | product MULTIPLICATIVE sign -> binary
?sign: atom | ADDITIVE sign            -> unary
?atom: "(" or_ ")" | literal | list | map | path | enumerator | call
literal: STRING | BYTES | FLOAT | INTEGER | NIL | BOOLEAN
list: LSQB [or_ ("," or_)*] "]"
map: LBRACE [entry ("," entry)*] "}"
entry: STRING ":" or_
path: segment ("." segment)*
segment: LOWER key*
key: "[" or_ "]"
enumerator: UPPER
call: (UPPER | LOWER) "(" [argument ("," argument)*] ")" key*
argument: [LOWER "="] or_

STRING: /"(\\.|[^\\"])*"/s
BYTES.2: /0x[a-fA-F0-9]+/
FLOAT.1: /(\d+\.\d*|\.\d+)([eE][-+]?\d+)?/
INTEGER: /\d+/
NIL.3: /nil\b/
BOOLEAN.3: /(true|false)\b/
COMPARISON: "==" | "!=" | ">=" | "<=" | ">" | "<"
ADDITIVE: "+" | "-"
MULTIPLICATIVE: "*" | "/"
LSQB: "["
LBRACE: "{"
UPPER: /[A-Z][a-zA-Z0-9_]*/
LOWER: /[a-z][a-zA-Z0-9_]*/
%import common.WS
%ignore WS
"""

_ESCAPE = re.compile(
    r"""\\(?:[abfnrtv\\"']|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|(.?))""", re.DOTALL
)
_WORDS = {
    "STRING": "a string",
    "BYTES": "bytes (0x…)",
    "FLOAT": "a number",
    "INTEGER": "a number",
    "NIL": "nil",
    "BOOLEAN": "true or false",
    "COMPARISON": "==, !=, <, <=, >, >=",
    "ADDITIVE": "+, -",
    "MULTIPLICATIVE": "*, /",
    "UPPER": "a function or constant",
    "LOWER": "a path",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "LBRACE": "{",
    "RBRACE": "}",
    "COMMA": ",",
    "DOT": ".",
    "COLON": ":",
    "EQUAL": "=",
    "$END": "the end",
}


def parse_condition(text: str) -> Node:
    """Return the tree of a condition. Raises :class:`ConditionError` that points to what is not understood."""
    return cast("Node", _parse(text, "condition"))


def parse_value(text: str) -> Node:
    """Return the tree of a value: a path, a literal, a call, arithmetic. Raises :class:`ConditionError`."""
    return cast("Node", _parse(text, "value"))


def parse_statement(text: str) -> Statement:
    """Return the tree of a statement, ``editor(arguments) where condition``. Raises :class:`ConditionError`."""
    return cast("Statement", _parse(text, "statement"))


def _parse(text: str, what: str) -> object:
    if not text.strip():
        msg = f"the {what} is empty"
        raise ConditionError(msg)
    try:
        return _parser().parse(text, start=what)
    except UnexpectedToken as error:
        position = len(text.rstrip()) if error.token.type == "$END" else error.token.start_pos or 0
        msg = f"{_shown(error.token)} is not expected here; expected {_wanted(error.accepts or error.expected)}"
        if error.token.type == "EQUAL":
            msg = _strange(text, position)
        raise ConditionError(msg, text, position) from None
    except UnexpectedCharacters as error:
        position = error.pos_in_stream or 0
        raise ConditionError(_strange(text, position), text, position) from None
    except UnexpectedEOF:
        msg = f"the {what} ends too early"
        raise ConditionError(msg, text, len(text)) from None
    except _BadLiteral as error:
        raise ConditionError(str(error), text, error.position) from None


def _shown(token: Any) -> str:
    return "the end" if token.type == "$END" else repr(str(token))


def _wanted(terminals: Any) -> str:
    words = dict.fromkeys(_WORDS.get(name, name.lower()) for name in sorted(terminals))
    return ", ".join(sorted(words, key=lambda word: (not word[0].isalpha(), word)))


def _strange(text: str, position: int) -> str:
    if text[position] == '"':
        return "this string has no end"
    if text[position] == "'":
        return 'strings stand in double quotes: "…"'
    if text[position] == "=":
        return "comparison is written =="
    return f"{text[position]!r} means nothing here"


class _BadLiteral(ValueError):  # noqa: N818  carries a position to the one place that catches it
    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def _unquoted(token: Any) -> str:
    """Return what a quoted string means, by Go's rules: an unknown escape is an error."""
    text = str(token)
    if "\\" not in text:
        return text[1:-1]
    for escape in _ESCAPE.finditer(text):
        if escape[1] is not None:
            msg = f"{escape[0]} is no escape; a backslash itself is written \\\\"
            raise _BadLiteral(msg, token.start_pos + escape.start())
    value: str = ast.literal_eval(
        "'" + text[1:-1].replace("\n", "\\n").replace("'", "\\'").replace("\\\\'", "\\'") + "'"
    )
    return value


def _literal_value(token: Any) -> Value:
    text = str(token)
    if token.type == "STRING":
        return _unquoted(token)
    if token.type == "BYTES":
        if len(text) % 2:
            msg = "bytes need an even number of hexadecimal digits"
            raise _BadLiteral(msg, token.start_pos)
        return bytes.fromhex(text[2:])
    if token.type == "FLOAT":
        return float(text)
    if token.type == "INTEGER":
        if len(text) > len(str(2**63)) or int(text) > 2**63:
            msg = "a whole number must fit into 64 bits"
            raise _BadLiteral(msg, token.start_pos)
        return int(text)
    return {"true": True, "false": False}.get(text)


@v_args(inline=True)
class _Builder(Transformer):  # type: ignore[type-arg]
    """Makes the tree while parsing; methods are named after the rules."""

    def condition(self, node: Node) -> Node:
        return node

    def value(self, node: Node) -> Node:
        return node

    def statement(self, editor: Call, where: Node | None) -> Statement:
        return Statement(editor, where)

    def binary(self, left: Node, operator: Any, right: Node) -> Binary:
        return Binary(str(operator), left, right, operator.start_pos)

    def binary_or(self, left: Node, right: Node) -> Binary:
        return Binary("or", left, right, right.position)

    def binary_and(self, left: Node, right: Node) -> Binary:
        return Binary("and", left, right, right.position)

    def negation(self, operand: Node) -> Unary:
        return Unary("not", operand, operand.position)

    def unary(self, operator: Any, operand: Node) -> Unary:
        return Unary(str(operator), operand, operator.start_pos)

    def literal(self, token: Any) -> Literal:
        return Literal(_literal_value(token), token.start_pos)

    def list(self, bracket: Any, *elements: Node | None) -> ListOf:
        return ListOf(tuple(element for element in elements if element is not None), bracket.start_pos)

    def map(self, brace: Any, *entries: Any) -> MapOf:
        return MapOf(tuple(entry for entry in entries if entry is not None), brace.start_pos)

    def entry(self, name: Any, node: Node) -> tuple[str, Node]:
        return _unquoted(name), node

    def path(self, *segments: Segment) -> Path:
        return Path(segments, segments[0].position)

    def segment(self, name: Any, *keys: Node) -> Segment:
        return Segment(str(name), keys, name.start_pos)

    def key(self, node: Node) -> Node:
        return node

    def enumerator(self, name: Any) -> Enumerator:
        return Enumerator(str(name), name.start_pos)

    def call(self, name: Any, *rest: Any) -> Call:
        arguments = tuple(one for one in rest if isinstance(one, tuple))
        keys = tuple(one for one in rest if one is not None and not isinstance(one, tuple))
        return Call(str(name), arguments, keys, name.start_pos)

    def argument(self, name: Any, node: Node) -> tuple[str, Node]:
        return str(name or ""), node


@cache
def _parser() -> Lark:
    """Build the parser: once per process, and only if there is a condition to read."""
    return Lark(
        _GRAMMAR,
        parser="lalr",
        start=["condition", "statement", "value"],
        transformer=_Builder(),
        maybe_placeholders=True,
    )
