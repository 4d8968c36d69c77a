"""Several addresses of one destination: asked in turn, and passed over for a while where they do not answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from untrace_pipeline.errors import Code, RetryableError

__all__ = ["Nodes"]

PASSED_OVER_SECONDS = 30.0
"""How long a node that did not answer is asked last."""

T = TypeVar("T")


class Nodes:
    """URLs of the nodes of a cluster, each of which takes any request."""

    def __init__(self, urls: Sequence[str], *, now: Callable[[], float] = time.monotonic) -> None:
        self._urls = urls
        self._now = now
        self._next = 0
        self._silent: dict[str, float] = {}

    async def ask(self, request: Callable[[str], Awaitable[T]]) -> T:
        """Return the answer of the first node that gives one, beginning with another node each time.

        Any error but :class:`RetryableError` is an answer, and so is RESOURCE_EXHAUSTED: the others are as busy. Raises
        what the last node raised where none answers.
        """
        begin = self._next % len(self._urls)
        self._next = begin + 1
        turn = sorted([*self._urls[begin:], *self._urls[:begin]], key=self._passed_over)
        for left, url in reversed(list(enumerate(reversed(turn)))):
            try:
                answer = await request(url)
            except RetryableError as error:
                if error.code is not Code.RESOURCE_EXHAUSTED:
                    self._silent[url] = self._now() + PASSED_OVER_SECONDS
                    if left:
                        continue
                raise
            self._silent.pop(url, None)
            return answer
        raise AssertionError

    def _passed_over(self, url: str) -> bool:
        return self._silent.get(url, 0.0) > self._now()
