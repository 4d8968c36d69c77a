"""Every exception class of the daemon, in one tree.

::

    UntraceError
    ├── ConfigError            the configuration is wrong; carries every problem with its place (exit code 2)
    ├── PluginError            an installed plugin cannot be loaded, or its optional library is missing (exit code 2)
    ├── StartError             a component could not start: port taken, file unwritable … (exit code 1)
    │   └── WorkerError        a worker process did not start, or did not do what the supervisor asked of it
    ├── ConditionError         a condition cannot be compiled; points into its text (exit code 2; also a ValueError)
    ├── EvaluationError        a condition has no answer for one row: division by zero, index out of bounds …
    └── ConsumeError           a batch was not accepted; the caller still owns it
        ├── RetryableError     the same batch may succeed later
        │   └── QueueFullError a bounded queue refused the batch; nothing of it was taken
        └── PermanentError     the same batch will never succeed here
            ├── InternalError  a component raised something unexpected; the engine caught it
            ├── DecodeError    the bytes are not valid OTLP; names the offset
            └── OversizeError  larger than a limit; splitting may help
"""

from __future__ import annotations

import copy
import enum
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from untrace_pipeline.config.diagnostics import Problem

__all__ = [
    "Code",
    "ConditionError",
    "ConfigError",
    "ConsumeError",
    "DecodeError",
    "EvaluationError",
    "InternalError",
    "OversizeError",
    "PermanentError",
    "PluginError",
    "QueueFullError",
    "RetryableError",
    "StartError",
    "UntraceError",
    "WorkerError",
]


class Code(enum.IntEnum):
    """Canonical status codes, as in ``google.rpc.Code``; the numbers are those of gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class UntraceError(Exception):
    """Base of everything that the daemon raises on purpose."""


class ConfigError(UntraceError):
    """The configuration is wrong. ``problems`` holds all of them, sorted by place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PluginError(UntraceError):
    """An installed plugin cannot be used; the message names the package and what would mend it."""


class StartError(UntraceError):
    """A component could not start; the message names the component, the action and the cause."""

    exit_code = 1
    """With which the daemon ends, if it had not started yet."""


class WorkerError(StartError):
    """A worker process did not start, or did not do what the supervisor asked; the message names the worker."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ConditionError(UntraceError, ValueError):
    """A condition cannot be compiled. ``text`` is the condition, ``position`` the character where it goes wrong.

    A ``ValueError`` too, so that raised while a configuration is checked it comes out as a problem at its place.
    """

    def __init__(self, message: str, text: str = "", position: int | None = None) -> None:
        self.text = text
        self.position = position
        super().__init__(message if position is None else f"{message}\n{_pointed(text, position)}")


def _pointed(text: str, position: int) -> str:
    """Return the line of ``text`` that holds the position, with a caret under it."""
    begin = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[begin : end if end >= 0 else len(text)]
    return f"  {line}\n  {' ' * (position - begin)}^"


class EvaluationError(UntraceError):
    """A condition has no answer for one row of a batch; what follows is up to the ``error_mode`` of who asks.

    Its text may be logged, so it never holds a value of the data.
    """


class ConsumeError(UntraceError):
    """A batch was not accepted: the caller still owns it and tells its own client.

    ``code`` is the status that a receiver reports when the failure reaches it.
    """

    code: Code = Code.UNKNOWN
    partly_accepted = False
    """Whether some branch of the graph, or some piece of the batch, was accepted all the same."""
    detail = ""
    """What the other side said in full, where the message has only its beginning: for dead letters, not for logs."""

    def __init__(self, message: str, *, code: Code | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class RetryableError(ConsumeError):
    """The same batch may succeed later; ``retry_after`` is the wish of whoever refused, in seconds, if it had one."""

    code = Code.UNAVAILABLE

    def __init__(self, message: str, *, retry_after: float | None = None, code: Code | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class QueueFullError(RetryableError):
    """A bounded queue refused the batch and took nothing of it.

    In a fan-out where another branch accepted the batch, the sender is not told, because its retry would
    duplicate the data there; it is counted as dropped for the destination that refused
    (docs/decisions/0001-fan-out.md).
    """

    refused: Mapping[str, int] = types.MappingProxyType({})
    """Items that each component refused, by its name: ``exporter:otlp``; the engine fills this in. They are fewer than
    the caller passed on where some were filtered on the way."""

    def share(self, before: int, items: int, total: int) -> QueueFullError:
        """Return the error for one of several callers whose batches were merged: ``items`` of ``total``.

        ``before`` are the items of the callers before this one: so the shares of all add up to what was refused.
        """
        twin = copy.copy(self)
        twin.refused = {
            name: count * (before + items) // total - count * before // total for name, count in self.refused.items()
        }
        return twin

    @staticmethod
    def total(errors: Iterable[QueueFullError]) -> dict[str, int]:
        """Return the items that each component refused in several errors."""
        found: dict[str, int] = {}
        for error in errors:
            for name, count in error.refused.items():
                found[name] = found.get(name, 0) + count
        return found


class PermanentError(ConsumeError):
    """The same batch will never succeed here."""

    code = Code.INTERNAL


class InternalError(PermanentError):
    """A component raised something that is no :class:`ConsumeError`; made by the engine only, which logs the cause."""


class DecodeError(PermanentError):
    """The bytes are not valid OTLP. ``offset`` is the byte where reading failed, where it is known."""

    code = Code.INVALID_ARGUMENT

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (at byte {offset})")
        self.offset = offset


class OversizeError(PermanentError):
    """The batch is larger than a limit of the receiving side; its halves may be accepted."""

    code = Code.RESOURCE_EXHAUSTED
