"""The target of the fuzzer over its corpus and over simple mutations of it, in a second."""

from __future__ import annotations

import random

import pytest

from tests.support.decoder_target import check_decoders, seeds


@pytest.mark.parametrize("number", range(len(seeds())))
def test_seed_is_refused_or_used(number: int) -> None:
    """Each input of the corpus is refused with a DecodeError or can be used in every way."""
    check_decoders(seeds()[number])


@pytest.mark.parametrize("seed", range(20))
def test_mutated_input_is_refused_or_used(seed: int) -> None:
    """So is each of them with bytes flipped, cut, doubled and moved."""
    rng = random.Random(seed)
    for body in seeds():
        check_decoders(body[:1] + mutated(bytearray(body[1:]), rng))


def mutated(body: bytearray, rng: random.Random) -> bytes:
    """Return the body with a few random changes."""
    for _ in range(rng.randrange(1, 6)):
        if not body:
            break
        place = rng.randrange(len(body))
        match rng.randrange(4):
            case 0:
                body[place] ^= 1 << rng.randrange(8)
            case 1:
                del body[place : place + rng.randrange(1, 9)]
            case 2:
                body[place:place] = body[place : place + rng.randrange(1, 200)]
            case _:
                body[place] = rng.choice((0, 0x0A, 0x12, 0x7F, 0x80, 0xFF))
    return bytes(body)
