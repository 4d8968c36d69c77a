"""Pieces of a body or message as they come, kept without a cost per piece."""

from __future__ import annotations

__all__ = ["add_piece"]

JOINED_BYTES = 4096
"""Pieces are joined up to this size: each costs 50 bytes, and a client may send two at a time."""


def add_piece(pieces: list[bytes], piece: bytes) -> None:
    """Append a piece, or join it to the last one where that is small."""
    if pieces and len(pieces[-1]) < JOINED_BYTES:
        pieces[-1] += piece
    else:
        pieces.append(piece)
