"""How the size limit is shared among queues."""

from __future__ import annotations

__all__ = ["Space"]


class Space:
    """Bytes on the disk. Half of the limit is divided evenly among the users: nobody takes that part of another."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used: dict[str, int] = {}
        self._total = 0

    @property
    def used(self) -> int:
        """Bytes of all users."""
        return self._total

    def open(self, user: str, used: int) -> None:
        """Add a user who has so much already."""
        self._used[user] = used
        self._total += used

    def close(self, user: str) -> None:
        """Remove a user."""
        self._total -= self._used.pop(user)

    def take(self, user: str, size: int) -> bool:
        """Take some bytes, if there are so many for that user."""
        if self._total + size > self.limit // 2 and not self._fits(user, size):
            return False
        self._used[user] += size
        self._total += size
        return True

    def give(self, user: str, size: int) -> None:
        """Give bytes back."""
        self._used[user] -= size
        self._total -= size

    def _fits(self, user: str, size: int) -> bool:
        share = self.limit // (2 * len(self._used))
        others = sum(max(used, share) for other, used in self._used.items() if other != user)
        return self._used[user] + size + others <= self.limit
