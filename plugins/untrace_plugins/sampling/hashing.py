"""FNV-1a of 32 and 64 bits over a prefix and a key, as the Collector's samplers hash; for many trace ids at once.

FNV walks the bytes of a key one after the other: 16 steps for a trace id, each too small for Python to be quick at. So
all ids of a batch are laid side by side into one large integer, a lane of 128 bits for each, and every step is taken
for all of them together. A lane has room for several products before it must be cut back to the width of the hash.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

__all__ = ["FNV_32", "FNV_64", "Fnv", "Hasher", "randomness_of_hash"]


class Fnv(NamedTuple):
    """The numbers of one width (draft-eastlake-fnv)."""

    basis: int
    prime: int
    mask: int
    steps_per_cut: int
    """How many products a lane of 128 bits holds: a hash of 32 bits times a prime of 25, three times, has 107 bits."""
    lane: struct.Struct
    """Reads the hash of one lane."""


FNV_32 = Fnv(2_166_136_261, 16_777_619, 0xFFFFFFFF, 3, struct.Struct("<I12x"))
FNV_64 = Fnv(14_695_981_039_346_656_037, 1_099_511_628_211, 0xFFFFFFFFFFFFFFFF, 1, struct.Struct("<Q8x"))

_ID_SIZE = 16
_BUCKETS = 1 << 14


class Hasher:
    """FNV-1a of what begins with a fixed prefix."""

    def __init__(self, prefix: bytes, fnv: Fnv = FNV_32) -> None:
        self._fnv = fnv
        self._seeded = self._walk(fnv.basis, prefix)

    def hash(self, key: bytes) -> int:
        """Return the hash of one key of any length."""
        return self._walk(self._seeded, key)

    def hash_ids(self, trace_ids: Sequence[bytes]) -> list[int]:
        """Return the hashes of trace ids, all of 16 bytes."""
        count = len(trace_ids)
        if not count:
            return []
        _, prime, mask, steps_per_cut, lane = self._fnv
        ones = _ones(count)
        bytes_mask, cut = ones * 0xFF, ones * mask
        keys = int.from_bytes(b"".join(trace_ids), "little")
        state = ones * self._seeded
        for step in range(_ID_SIZE):
            state = (state ^ keys >> 8 * step & bytes_mask) * prime
            if step % steps_per_cut == steps_per_cut - 1:
                state &= cut
        lanes = (state & cut).to_bytes(_ID_SIZE * count, "little")
        return [value for (value,) in lane.iter_unpack(lanes)]

    def _walk(self, state: int, key: bytes) -> int:
        prime, mask = self._fnv.prime, self._fnv.mask
        for byte in key:
            state = (state ^ byte) * prime & mask
        return state


@lru_cache(maxsize=512)
def _ones(count: int) -> int:
    """Return an integer with a one in each lane."""
    return int.from_bytes((b"\x01" + bytes(_ID_SIZE - 1)) * count, "little")


def randomness_of_hash(value: int) -> int:
    """Return 56 bits of randomness out of a hash, such that consistent samplers decide as the old rule does.

    The old rule keeps ``hash % 2**14 < buckets``; so these bits, counted down, come first.
    """
    bucket = value & (_BUCKETS - 1)
    unused = value >> 18
    return (_BUCKETS - 1 - bucket) << 42 | (unused ^ unused << 10) << 14 | bucket
