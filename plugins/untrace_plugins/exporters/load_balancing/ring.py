"""The consistent hash ring: which backend owns a key.

The same arithmetic as the Collector's ``load_balancing`` exporter of 0.158, so that a fleet that is made of both, or
that moves from one to the other, sends each trace to one backend.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from zlib import crc32

__all__ = ["Ring"]

POSITIONS = 131071
"""Places on the ring, a prime."""
POINTS = 200
"""Places that each endpoint asks for; the more, the more evenly keys are spread."""
PROBES = 10
"""How far an endpoint looks for another place when one is taken."""


class Ring:
    """Immutable. The order of the endpoints makes no difference; on a change of one of N, 1/N of the keys move."""

    def __init__(self, endpoints: Sequence[str]) -> None:
        self.endpoints = tuple(endpoints)
        placed = _place(endpoints)
        self._positions = sorted(placed)
        self._owners = [placed[position] for position in self._positions]

    def owner(self, key: bytes) -> str:
        """Return the endpoint that owns a key: the next one on the ring. Raises ``LookupError`` if there is none."""
        if not self._owners:
            msg = "the ring is empty"
            raise LookupError(msg)
        place = bisect_left(self._positions, crc32(key) % POSITIONS)
        return self._owners[place if place < len(self._owners) else 0]


def _place(endpoints: Sequence[str]) -> dict[int, str]:
    """Return who sits where: the first at a place has it, others take the next one that is free, if it is near."""
    wishes = sorted(
        (value % POSITIONS, value, endpoint)
        for endpoint in endpoints
        for number in range(POINTS)
        for value in (crc32(endpoint.encode() + number.to_bytes(4, "little")),)
    )
    taken: dict[int, str] = {}
    for wish, _, endpoint in wishes:
        for probe in range(PROBES):
            if (position := (wish + probe) % POSITIONS) not in taken:
                taken[position] = endpoint
                break
    return taken
