"""A bounded copy of what goes through."""

from __future__ import annotations

from collections import deque

from untrace_plugins.genai.providers.exchange import Body

__all__ = ["Tee", "whole"]


class Tee:
    """Keeps the pieces of a body: all up to ``limit`` bytes, of more the beginning and the end, half each."""

    __slots__ = ("_head", "_head_limit", "_head_size", "_head_times", "_limit", "_tail", "_tail_size", "size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head_limit = limit // 2
        self._head: list[bytes] = []
        self._head_times: list[int] = []
        self._head_size = 0
        self._tail: deque[tuple[bytes, int]] = deque()
        self._tail_size = 0
        self.size = 0
        """Bytes that went through."""

    def add(self, piece: bytes, now: int) -> None:
        """Take a piece that came ``now``."""
        self.size += len(piece)
        if not self._tail and self._head_size + len(piece) <= self._head_limit:
            self._head.append(piece)
            self._head_times.append(now)
            self._head_size += len(piece)
            return
        self._tail.append((piece, now))
        self._tail_size += len(piece)
        if self.size > self._limit:
            self._shorten()

    def _shorten(self) -> None:
        """Drop from the beginning of the end; of a piece that is larger than the whole end, keep its own end."""
        most = self._limit - self._head_limit
        while self._tail_size > most:
            piece, time = self._tail.popleft()
            self._tail_size -= len(piece)
            if self._tail_size < most:
                rest = piece[len(piece) - (most - self._tail_size) :]
                self._tail.appendleft((rest, time))
                self._tail_size = most

    @property
    def kept(self) -> int:
        """Bytes that are kept."""
        return self._head_size + self._tail_size

    def end(self, most: int) -> bytes:
        """Return the last bytes that came, at least ``most`` of them if there are so many, in whole pieces."""
        pieces: list[bytes] = []
        size = 0
        for piece in (*(piece for piece, _ in reversed(self._tail)), *reversed(self._head)):
            if size >= most:
                break
            pieces.append(piece)
            size += len(piece)
        return b"".join(reversed(pieces))

    def body(self, encoding: str = "") -> Body:
        """Return what was kept."""
        chunks = [*self._head, *(piece for piece, _ in self._tail)]
        times = [*self._head_times, *(time for _, time in self._tail)]
        return Body(chunks, times, self.size, len(self._head) if self.size > self._limit else None, encoding)


def whole(body: bytes, now: int, limit: int, encoding: str = "") -> Body:
    """Return a body that came at once."""
    if len(body) <= limit:
        return Body([body], [now], len(body), None, encoding)
    half = limit // 2
    return Body([body[:half], body[half - limit :]], [now, now], len(body), 1, encoding)
