"""How the size limit is shared among queues."""

from __future__ import annotations

__all__ = ["Space"]


class Space:
    """Bytes on the disk. Half of the limit is divided evenly among the users: nobody takes that part of another."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used: dict[str, int] = {}

    def open(self, user: str, used: int) -> None:
        """Add a user who has so much already."""
        self._used[user] = used

    def close(self, user: str) -> None:
        """Remove a user."""
        del self._used[user]

    def take(self, user: str, size: int) -> bool:
        """Take some bytes, if there are so many for that user."""
        share = self.limit // (2 * len(self._used))
        others = sum(max(used, share) for other, used in self._used.items() if other != user)
        used = self._used[user] + size
        if used + others > self.limit:
            return False
        self._used[user] = used
        return True

    def give(self, user: str, size: int) -> None:
        """Give bytes back."""
        self._used[user] -= size
