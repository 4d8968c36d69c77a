"""What became of each item of a batch, from the answers to its documents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson

from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import DELIVERED, Outcome, Refused
from untrace_pipeline.errors import Code, PermanentError, RetryableError
from untrace_pipeline.net.http_answer import Answer
from untrace_plugins.bulk.documents import Document

__all__ = ["Tally"]

_CONFLICT, _BUSY, _SERVER = 409, 429, 500
_OK = range(200, 300)
_OF_DOCUMENT = re.compile(r" in document with id '[^']*'")
"""What is different for each document in a reason that many have."""
_CODES = {400: Code.INVALID_ARGUMENT, 403: Code.PERMISSION_DENIED, 404: Code.NOT_FOUND}

Reason = tuple[str, str]
"""What is logged, and all that the server said, which may quote values."""


class Tally:
    """Collects answers, and says then what is to be sent again, what is refused, and why."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._refused: dict[int, Reason] = {}
        self._codes: dict[Reason, Code] = {}
        self._again: set[int] = set()
        self._cause: RetryableError | None = None
        self.answered = False
        """Whether some bulk request had an answer."""

    def take(self, documents: Sequence[Document], answer: Answer) -> None:
        """Take the answer to one bulk request. Raises :class:`RetryableError` where it is none."""
        for document, result in zip(documents, _results(answer, len(documents)), strict=True):
            status = result.get("status", 0)
            if status not in _OK and status != _CONFLICT:  # a conflict: it is there, from an attempt before
                self._failed(document, status, result.get("error"))
        self.answered = True

    def leave(self, documents: Sequence[Document], cause: RetryableError) -> None:
        """Have documents sent again that had no answer."""
        self._cause = cause
        self._again.update(item for document in documents for item in document.items)

    def outcome(self) -> Outcome:
        """Return what became of the batch."""
        if not self._refused and not self._again:
            return DELIVERED
        items = self._batch.item_count
        if self._cause is not None and len(self._again) == items and not self._refused:
            raise self._cause
        keys: list[object] = [self._refused.get(item, "rest" if item in self._again else None) for item in range(items)]
        parts = self._batch.partition(keys)
        rest = parts.pop("rest", None)
        refused = [self._refusal(reason, part) for reason, part in parts.items()]
        return Outcome(rest=rest, cause=self._cause if rest is not None else None, refused=refused)

    def _failed(self, document: Document, status: int, error: Any) -> None:
        said = error if isinstance(error, dict) else {}
        kind = str(said.get("type") or "no reason given")
        short = f"{kind} (status {status}) by {document.target.name}"
        if status == _BUSY or status >= _SERVER:
            code = Code.RESOURCE_EXHAUSTED if status == _BUSY else Code.UNAVAILABLE
            self._cause = self._cause or RetryableError(short, code=code)
            self._again.update(document.items)
            return
        reason = (short, _OF_DOCUMENT.sub("", _reasons(said)))
        self._codes[reason] = _CODES.get(status, Code.INTERNAL)
        for item in document.items:
            self._refused.setdefault(item, reason)

    def _refusal(self, reason: Any, part: Batch) -> Refused:
        error = PermanentError(reason[0], code=self._codes[reason])
        error.detail = f"{reason[0]}: {reason[1]}" if reason[1] else ""
        return Refused(part, error)


def _results(answer: Answer, count: int) -> list[dict[str, Any]]:
    """Return the result of each document."""
    try:
        said = orjson.loads(answer.body)
        if isinstance(said, dict) and said.get("errors") is False:
            return [{"status": 201}] * count
        results = [next(iter(item.values())) for item in said["items"]]
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:
        msg = f"HTTP {answer.status} with an answer that is none to a bulk request: is the endpoint right?"
        raise RetryableError(msg) from error
    if len(results) != count:
        raise RetryableError(f"an answer to {len(results)} documents, and {count} were sent")
    return results


def _reasons(error: dict[str, Any]) -> str:
    """Return what an error and its causes say."""
    found, seen = [], 0
    while isinstance(error, dict) and seen < 5:  # noqa: PLR2004  causes of causes
        found.append(str(error.get("reason", "")))
        error, seen = error.get("caused_by", {}), seen + 1
    return ": ".join(filter(None, found))
