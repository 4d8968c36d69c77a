"""FNV-1a of 32 bits over a seed and a key, as the Collector's sampler hashes; for many trace ids at once.

FNV walks the bytes of a key one after the other: 16 steps for a trace id, each too small for Python to be quick at. So
all ids of a batch are laid side by side into one large integer, a lane of 128 bits for each, and every step is taken
for all of them together. A lane has room for several products before it must be cut back to 32 bits.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["Hasher", "randomness_of_hash"]

_PRIME = 16_777_619
_BASIS = 2_166_136_261
_MASK = 0xFFFFFFFF
_ID_SIZE = 16
# A hash of 32 bits times a prime of 25 bits: after three products 107 bits, which a lane of 128 holds.
_STEPS_PER_CUT = 3

_BUCKETS = 1 << 14


class Hasher:
    """FNV-1a with a seed."""

    def __init__(self, seed: int) -> None:
        self._seeded = _walk(_BASIS, seed.to_bytes(4, "little"))

    def hash(self, key: bytes) -> int:
        """Return the hash of one key of any length."""
        return _walk(self._seeded, key)

    def hash_ids(self, trace_ids: Sequence[bytes]) -> list[int]:
        """Return the hashes of trace ids, all of 16 bytes."""
        count = len(trace_ids)
        if not count:
            return []
        ones = _ones(count)
        bytes_mask, cut = ones * 0xFF, ones * _MASK
        keys = int.from_bytes(b"".join(trace_ids), "little")
        state = ones * self._seeded
        for step in range(_ID_SIZE):
            state = (state ^ keys >> 8 * step & bytes_mask) * _PRIME
            if step % _STEPS_PER_CUT == _STEPS_PER_CUT - 1:
                state &= cut
        lanes = (state & cut).to_bytes(_ID_SIZE * count, "little")
        return [value for (value,) in struct.iter_unpack("<I12x", lanes)]


@lru_cache(maxsize=512)
def _ones(count: int) -> int:
    """Return an integer with a one in each lane."""
    return int.from_bytes((b"\x01" + bytes(_ID_SIZE - 1)) * count, "little")


def _walk(state: int, key: bytes) -> int:
    for byte in key:
        state = (state ^ byte) * _PRIME & _MASK
    return state


def randomness_of_hash(value: int) -> int:
    """Return 56 bits of randomness out of a hash, such that consistent samplers decide as the old rule does.

    The old rule keeps ``hash % 2**14 < buckets``; so these bits, counted down, come first.
    """
    bucket = value & (_BUCKETS - 1)
    unused = value >> 18
    return (_BUCKETS - 1 - bucket) << 42 | (unused ^ unused << 10) << 14 | bucket
