"""Keccak-256 with its original padding, as Ethereum has it; ``hashlib`` has only the later SHA-3."""

from __future__ import annotations

__all__ = ["keccak256"]

_RATE = 136
"""Bytes that a block takes up."""
_MASK = (1 << 64) - 1


def _round_constants() -> list[int]:
    """Return the constants of iota: bits of a linear feedback shift register (FIPS 202, 3.2.5)."""
    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for bit in range(7):
            if register & 1:
                constant |= 1 << (1 << bit) - 1
            register = register << 1 ^ (0x171 if register >> 7 else 0)
        constants.append(constant)
    return constants


_CONSTANTS = _round_constants()


def keccak256(data: bytes) -> bytes:
    """Return the digest."""
    padded = bytearray(data) + b"\x01" + bytes(-(len(data) + 1) % _RATE)
    padded[-1] |= 0x80
    lanes = [0] * 25
    for block in range(0, len(padded), _RATE):
        for lane in range(_RATE // 8):
            start = block + 8 * lane
            lanes[lane] ^= int.from_bytes(padded[start : start + 8], "little")
        lanes = _permuted(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permuted(lanes: list[int]) -> list[int]:
    """Apply Keccak-f[1600]; lane x, y is number x + 5 y."""
    for constant in _CONSTANTS:
        parity = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        mixed = [parity[x - 1] ^ _rotated(parity[(x + 1) % 5], 1) for x in range(5)]
        lanes = [lane ^ mixed[number % 5] for number, lane in enumerate(lanes)]
        lanes = _moved(lanes)
        lanes = [
            lanes[number]
            ^ ~lanes[number - number % 5 + (number + 1) % 5] & lanes[number - number % 5 + (number + 2) % 5]
            for number in range(25)
        ]
        lanes[0] ^= constant
    return lanes


def _moved(lanes: list[int]) -> list[int]:
    """Apply rho and pi."""
    moved = lanes[:]
    x, y, current = 1, 0, lanes[1]
    for step in range(24):
        x, y = y, (2 * x + 3 * y) % 5
        place = x + 5 * y
        current, moved[place] = lanes[place], _rotated(current, (step + 1) * (step + 2) // 2 % 64)
    return moved


def _rotated(lane: int, by: int) -> int:
    return (lane << by | lane >> 64 - by) & _MASK if by else lane
