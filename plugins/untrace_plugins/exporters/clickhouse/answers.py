"""What an answer of ClickHouse means, by the code of its exception."""

from __future__ import annotations

import re

from untrace_pipeline.errors import Code, ConsumeError, PermanentError, RetryableError
from untrace_pipeline.net.http_answer import Answer, Statuses, refusal

__all__ = ["BadRowError", "MissingTableError", "judge"]

_OK = range(200, 300)
_SERVER_ERROR = 500
_STATUSES = Statuses(retry=frozenset({408, 429, *range(_SERVER_ERROR, 600)}))
"""Of what stands before the server: it gives a code itself."""
_CODE, _NAME = re.compile(rb"Code: (\d+)\."), re.compile(rb"\(([A-Z][A-Z_]{3,})\)")
_EXCEPTION = b"DB::Exception"
_DETAIL_BYTES = 4096

# Numbers of ErrorCodes.cpp; those that are not named here are judged by the HTTP status.
_MISSING = {60: "UNKNOWN_TABLE", 81: "UNKNOWN_DATABASE"}
_BAD_ROW = frozenset({6, 26, 27, 38, 41, 53, 70, 72, 117, 130, 190, 321, 349, 407, 469})
"""A value that cannot be read, or that its column cannot hold."""
_CREDENTIALS = {192: Code.UNAUTHENTICATED, 193: Code.UNAUTHENTICATED, 516: Code.UNAUTHENTICATED}
_RIGHTS = {164: Code.PERMISSION_DENIED, 291: Code.PERMISSION_DENIED, 497: Code.PERMISSION_DENIED}
_FOR_GOOD = {
    16: Code.INVALID_ARGUMENT,
    47: Code.INVALID_ARGUMENT,
    62: Code.INVALID_ARGUMENT,
    115: Code.INVALID_ARGUMENT,
}
_BUSY = frozenset({201, 202, 241, 252, 439})
"""Quota, simultaneous queries, memory, parts, threads: come later."""
_LATER = frozenset({159, 160, 209, 210, 225, 236, 242, 243, 285, 319, 394, 425, 473, 999})
"""Timeouts, lost connections, no Keeper, read-only replicas, no space, unknown whether inserted."""


class BadRowError(PermanentError):
    """Some row of the insert cannot be taken; the others are not inserted either."""

    code = Code.INVALID_ARGUMENT


class MissingTableError(RetryableError):
    """The table or the database is not there: it may be made yet."""

    code = Code.NOT_FOUND


def judge(answer: Answer) -> ConsumeError | None:
    """Return the error that an answer stands for, also where it only shows after the status was sent.

    The message has the code and its name; what the server says may quote values, and is the detail.
    """
    number = _number(answer)
    if number is None:
        return None if answer.status in _OK else refusal(answer, _STATUSES)
    found = _NAME.findall(answer.body)
    name = found[-1].decode() if found else "no name"
    error = _by_code(number, f"code {number} ({name})", answer.status)
    error.detail = answer.body[:_DETAIL_BYTES].decode(errors="replace").strip()
    return error


def _number(answer: Answer) -> int | None:
    told = answer.headers.get("X-ClickHouse-Exception-Code", "")
    if told.isascii() and told.isdigit():
        return int(told)
    found = _CODE.search(answer.body) if _EXCEPTION in answer.body else None
    return int(found[1]) if found else None


def _by_code(number: int, message: str, status: int) -> ConsumeError:
    if number in _MISSING:
        return MissingTableError(message)
    if number in _BAD_ROW:
        return BadRowError(message)
    if number in _BUSY:
        return RetryableError(message, code=Code.RESOURCE_EXHAUSTED)
    if number in _LATER:
        return RetryableError(message)
    code = (_CREDENTIALS | _RIGHTS | _FOR_GOOD).get(number)
    if code is not None:
        return PermanentError(message, code=code)
    if status in _OK or status >= _SERVER_ERROR:
        return RetryableError(message, code=Code.INTERNAL)
    return PermanentError(message, code=Code.INVALID_ARGUMENT)
