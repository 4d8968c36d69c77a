"""How much may wait between the library's thread and the event loop."""

from __future__ import annotations

import threading

__all__ = ["Room"]


class Room:
    """Bytes of messages between the thread, which takes, and the event loop, which gives back."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._changed = threading.Condition()
        self.used = 0

    @property
    def full(self) -> bool:
        """Whether nothing more should be taken."""
        return self.used >= self._capacity

    @property
    def roomy(self) -> bool:
        """Whether it is worth beginning again."""
        return self.used <= self._capacity // 2

    def take(self, size: int) -> None:
        """Take room, at once: what is here is here."""
        with self._changed:
            self.used += size

    def give_back(self, size: int) -> None:
        """Give room back."""
        with self._changed:
            self.used -= size
            if self.roomy:
                self._changed.notify()

    def wait(self, seconds: float) -> None:
        """Wait until it is roomy, or time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self.roomy, seconds)
