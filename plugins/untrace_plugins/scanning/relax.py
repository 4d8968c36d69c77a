"""Turns a regular expression into a byte pattern that finds at least everything that it finds.

Values lie in a request as UTF-8, between bytes that have nothing to do with them. So the relaxed pattern

- has no assertions: ``^``, ``$`` and ``\\b`` mean the borders of a value, which are no borders in the request;
- allows one to four bytes outside of ASCII where a character outside of ASCII may stand, unless it is literal;
- repeats what stands at its ends only as often as it must: where the pattern matches, a shorter match lies inside.

Soundness: if the pattern matches a part of a value, the relaxed one matches a part of that part, wherever the value
lies. A leading ``\\b`` could survive as "not within a word, or behind the length of a string", and would find less in
long runs of digits; but it doubles the time of every scan, and what it saves is small.
"""

from __future__ import annotations

from untrace_plugins.scanning.syntax import (
    EMPTY,
    Alt,
    Cat,
    Chars,
    Empty,
    Node,
    Repeat,
    Text,
    UnsupportedError,
    is_nullable,
    parse,
)

__all__ = ["relax"]

_UTF8_BYTES = 4
"""Most bytes of one character."""
_COUNT_LIMIT = 128
"""Higher counts are cut, or left open above: engines unroll them."""
_UNROLLED_LIMIT = 2000
"""Bytes of repetitions written out; engines take seconds to compile what is much larger."""


def relax(pattern: str) -> bytes:
    """Return the relaxed form of an RE2 pattern, in the syntax that RE2 (Latin-1) and Hyperscan (bytes) share.

    Raises :class:`UnsupportedError` where there is none, above all for patterns that match the empty string.
    """
    tree = _without_tail(parse(pattern))
    if is_nullable(tree):
        raise UnsupportedError("matches the empty string")
    if _unrolled(tree) > _UNROLLED_LIMIT:
        raise UnsupportedError("repeats too much within repetitions")
    return _headed(tree)


def _without_tail(node: Node) -> Node:
    """Cut what the end need not match; ``EMPTY`` if that is everything."""
    if is_nullable(node):
        return EMPTY
    match node:
        case Cat(parts):
            while is_nullable(parts[-1]):
                parts = parts[:-1]
            return Cat((*parts[:-1], _without_tail(parts[-1])))
        case Alt(parts):
            return Alt(tuple(map(_without_tail, parts)))
        case Repeat(part, least, _):
            return _without_tail(part) if least == 1 else Repeat(part, least, least)
    return node


def _headed(node: Node) -> bytes:
    """Write a node that begins the pattern, without what its beginning need not match."""
    match node:
        case Cat(parts):
            while is_nullable(parts[0]):
                parts = parts[1:]
            return _headed(parts[0]) + b"".join(map(_written, parts[1:]))
        case Alt(parts):
            return b"(?:" + b"|".join(map(_headed, parts)) + b")"
        case Repeat(part, least, _):
            return _headed(part) if least == 1 else _written(Repeat(part, least, least))
    return _written(node)


def _unrolled(node: Node) -> int:
    """Return about how many bytes a pattern has when its repetitions of groups are written out."""
    match node:
        case Cat(parts) | Alt(parts):
            return sum(map(_unrolled, parts))
        case Repeat(Chars(), _, _):
            return 0
        case Repeat(part, least, most):
            return _weight(part) * min(max(least, most or 1), _COUNT_LIMIT)
    return 0


def _weight(node: Node) -> int:
    match node:
        case Cat(parts) | Alt(parts):
            return sum(map(_weight, parts))
        case Repeat(part, least, most):
            return _weight(part) * min(max(least, most or 1), _COUNT_LIMIT)
        case Chars(_, wide=True):
            return _UTF8_BYTES
    return 1


def _written(node: Node) -> bytes:
    match node:
        case Empty():
            return b""
        case Chars():
            return _class(node) + (b"{1,%d}" % _UTF8_BYTES if node.wide else b"")
        case Text(utf8):
            return b"(?:" + b"".join(b"\\x%02x" % byte for byte in utf8) + b")"
        case Cat(parts):
            return b"(?:" + b"".join(map(_written, parts)) + b")"
        case Alt(parts):
            return b"(?:" + b"|".join(map(_written, parts)) + b")"
        case Repeat(Chars(_, wide=True) as part, least, most):
            return _class(part) + _counted(least, None if most is None else most * _UTF8_BYTES)
        case Repeat(part, least, most):
            return b"(?:" + _written(part) + b")" + _counted(least, most)
    raise AssertionError(node)


def _counted(least: int, most: int | None) -> bytes:
    least = min(least, _COUNT_LIMIT)
    if most is None or most > _COUNT_LIMIT:
        return b"{%d,}" % least
    return b"{%d,%d}" % (least, most)


def _class(chars: Chars) -> bytes:
    """Write a set of bytes; all bytes outside of ASCII stand for any character outside of it."""
    ranges = []
    code = 0
    while code < 128:  # noqa: PLR2004  end of ASCII
        if chars.mask >> code & 1:
            first = code
            while chars.mask >> code + 1 & 1:
                code += 1
            ranges.append(_byte(first) if first == code else _byte(first) + b"-" + _byte(code))
        code += 1
    if chars.wide:
        ranges.append(b"\\x80-\\xff")
    if not ranges:
        raise UnsupportedError("a class without characters")
    return b"[" + b"".join(ranges) + b"]"


def _byte(code: int) -> bytes:
    """Write an ASCII character as short as can be: engines limit the length of patterns."""
    return b"%c" % code if chr(code).isalnum() else b"\\x%02x" % code
