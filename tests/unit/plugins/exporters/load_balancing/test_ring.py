"""The ring: everybody has an owner, evenly, and few move when a backend comes or goes."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_plugins.exporters.load_balancing.ring import Ring

NAMES = st.lists(st.from_regex(r"[a-z]{1,8}(-[0-9]{1,3})?(:[0-9]{2,5})?", fullmatch=True), unique=True)
KEYS = [random.Random(number).randbytes(16) for number in range(4000)]


def owners(*endpoints: str) -> list[str]:
    """Return who owns each key."""
    ring = Ring(endpoints)
    return [ring.owner(key) for key in KEYS]


def test_an_empty_ring_owns_nothing() -> None:
    """There is nobody to send to."""
    with pytest.raises(LookupError):
        Ring([]).owner(b"key")


@given(NAMES.filter(bool), st.binary(max_size=40), st.randoms())
def test_the_owner_is_one_of_them_in_any_order(endpoints: list[str], key: bytes, rng: random.Random) -> None:
    """Two instances that found the same backends in another order agree."""
    shuffled = rng.sample(endpoints, len(endpoints))
    assert Ring(endpoints).owner(key) == Ring(shuffled).owner(key)
    assert Ring(endpoints).owner(key) in endpoints


@given(st.integers(2, 12), st.integers(0, 999))
def test_only_keys_of_a_backend_that_goes_move(count: int, seed: int) -> None:
    """About 1/N of the keys; all others stay where they are, but for places that two backends wanted."""
    endpoints = [f"10.{seed % 256}.0.{number}:4317" for number in range(count)]
    before, after = owners(*endpoints), owners(*endpoints[1:])
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    strays = sum(old != endpoints[0] for old, _ in moved)
    assert len(moved) <= 1.6 * len(KEYS) / count
    assert strays <= len(KEYS) / 100


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_keys_are_spread_evenly(count: int) -> None:
    """No backend has more than a third above its share."""
    found = Counter(owners(*(f"backend-{number}:4317" for number in range(count))))
    assert len(found) == count
    assert max(found.values()) < 1.34 * len(KEYS) / count


def test_places_that_are_taken() -> None:
    """The same endpoint twice takes the places beside its own, and still owns its keys."""
    assert set(owners("a", "a", "b")) == {"a", "b"}
