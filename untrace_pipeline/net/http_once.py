"""Requests that come twice: the same key gives the same answer, and the work is done once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from untrace_pipeline.api.telemetry import Counter
from untrace_pipeline.net.http_message import HttpError, Response

__all__ = ["Once"]

MAX_BYTES = 64 * 1024 * 1024
"""Of bodies of answers that are remembered; a batch's list of errors can be long."""
_REPLAYED = (("x-idempotency-replayed", "true"),)

Key = tuple[str, ...]
Work = Callable[[], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class _Answered:
    digest: bytes
    answer: Response
    expires: float


class Once:
    """Remembers the answers of successful requests: for ``ttl`` seconds, ``max_keys`` and 64 MiB of them at most."""

    def __init__(
        self, ttl: float, max_keys: int, replayed: Counter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``replayed`` counts requests that got the answer of another."""
        self._ttl = ttl
        self._max_keys = max_keys
        self._replayed = replayed
        self._clock = clock
        self._under_way: dict[Key, tuple[bytes, asyncio.Future[Response]]] = {}
        self._answered: OrderedDict[Key, _Answered] = OrderedDict()
        self._bytes = 0

    async def once(self, key: Key, digest: bytes, work: Work) -> Response:
        """Do the work, or return the answer of the request that came before with the same key.

        ``digest`` is that of the request. Of several at a time one does the work; if it fails, so do the others, and
        the next one tries again. Raises :class:`HttpError` 409 if the key came with another request.
        """
        self._forget()
        if (before := self._answered.get(key)) is not None:
            _compare(before.digest, digest)
            return self._replay(before.answer)
        if (present := self._under_way.get(key)) is not None:
            _compare(present[0], digest)
            return self._replay(await asyncio.shield(present[1]))
        return await self._first(key, digest, work)

    async def _first(self, key: Key, digest: bytes, work: Work) -> Response:
        result: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._under_way[key] = digest, result
        try:
            answer = await work()
        except BaseException as error:
            result.set_exception(error if isinstance(error, HttpError) else _unfinished())
            result.exception()  # nobody has to wait for it
            raise
        finally:
            del self._under_way[key]
        kept = Response(answer.status, answer.body, answer.content_type, answer.headers)
        result.set_result(kept)
        self._answered[key] = _Answered(digest, kept, self._clock() + self._ttl)
        self._bytes += len(kept.body)
        return answer

    def _replay(self, answer: Response) -> Response:
        self._replayed.add()
        return Response(answer.status, answer.body, answer.content_type, answer.headers + _REPLAYED)

    def _forget(self) -> None:
        """Let go of what is too old, or too much; answers stand in the order in which they expire."""
        now = self._clock()
        while self._answered:
            key, oldest = next(iter(self._answered.items()))
            room = len(self._answered) < self._max_keys and self._bytes < MAX_BYTES
            if room and oldest.expires > now:
                break
            del self._answered[key]
            self._bytes -= len(oldest.answer.body)


def _compare(before: bytes, now: bytes) -> None:
    if before != now:
        raise HttpError(HTTPStatus.CONFLICT, "this key came before with another request")


def _unfinished() -> HttpError:
    return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "the same request failed meanwhile", (("retry-after", "1"),))
