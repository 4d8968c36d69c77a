"""A gate before a real server: it has a bad moment first, and takes no large requests when told so."""

from __future__ import annotations

import re

from tests.support.faulty_server import Fault, FaultyServer, Seen

__all__ = ["Gate"]

BUSY = (Fault(429, b"", {"Retry-After": "1"}), Fault(503, b""))
"""What the first requests with data get."""


class Gate(FaultyServer):
    """Passes on; of requests whose path matches `exports`, the first ones meet `BUSY`, and large ones 413."""

    def __init__(self, upstream: str, exports: str) -> None:
        super().__init__(upstream)
        self._exports = re.compile(exports)
        self._busy = list(BUSY)
        self.limit_bytes = 0
        """Of a body as it comes; 0 = none."""
        self.statuses: list[tuple[int, int]] = []
        """Status and size of every request with data."""

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        """Return what a request gets."""
        if seen.method == "GET" or not self._exports.search(seen.path):
            return super().answer(seen)
        self.faults.clear()
        if self._busy:
            self.faults.append(self._busy.pop(0))
        elif 0 < self.limit_bytes < len(seen.body):
            self.faults.append(Fault(413))
        answered = super().answer(seen)
        self.statuses.append((answered[0], len(seen.body)))
        return answered
