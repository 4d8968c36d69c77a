"""The fuzzer's target over its corpus and over simple mutations of it, in seconds."""

from __future__ import annotations

import random

import pytest

from tests.support.config_target import check_config, seeds, words

CRASHES = [
    b"",
    b"\x1e\x1e\x1e",
]
"""Inputs that once went wrong."""


@pytest.mark.parametrize("number", range(len(seeds())))
def test_seed_loads_or_is_refused(number: int) -> None:
    """Each input of the corpus loads, or is refused with problems that have place, code and text."""
    check_config(seeds()[number])


@pytest.mark.parametrize("data", CRASHES, ids=range(len(CRASHES)))
def test_former_crash(data: bytes) -> None:
    """What once escaped as another exception is a problem now."""
    check_config(data)


@pytest.mark.parametrize("seed", range(10))
def test_mutated_input_loads_or_is_refused(seed: int) -> None:
    """So is each of them with pieces cut, doubled and replaced."""
    rng = random.Random(seed)
    for body in seeds()[::4]:
        text = bytearray(body)
        for _ in range(rng.randrange(1, 5)):
            place = rng.randrange(len(text) + 1)
            match rng.randrange(3):
                case 0:
                    del text[place : place + rng.randrange(1, 12)]
                case 1:
                    text[place:place] = text[place : place + rng.randrange(1, 60)]
                case _:
                    text[place:place] = rng.choice(words()).encode()
        check_config(bytes(text))
