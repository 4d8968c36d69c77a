"""Exponential buckets keep every value in a bucket that holds it, within their size."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_plugins.metrics.exponential import MAX_SCALE, Buckets, index_of

POSITIVE = st.floats(min_value=5e-324, max_value=1.7e308, allow_nan=False, allow_infinity=False)


@given(st.lists(POSITIVE, min_size=1, max_size=60), st.integers(2, 40))
def test_counts_all_within_the_size(values: list[float], size: int) -> None:
    """Nothing is lost, and there are never more buckets than allowed."""
    buckets = Buckets(size)
    for value in values:
        buckets.add(value, 2)
    assert sum(buckets.counts()) == 2 * len(values)
    assert len(buckets.counts()) <= size


@given(st.floats(min_value=1e-300, max_value=1e300), st.integers(-10, 6))
def test_value_lies_in_its_bucket(value: float, scale: int) -> None:
    """``base**index < value <= base**(index + 1)``, but for rounding."""
    index = index_of(value, scale)
    exponent = math.log2(value) * 2.0**scale
    assert index - 1e-6 <= exponent <= index + 1 + 1e-6


@pytest.mark.parametrize("scale", range(-10, MAX_SCALE + 1))
@pytest.mark.parametrize("exponent", [-1000, -1, 0, 1, 7, 1023])
def test_powers_of_two_are_exact(scale: int, exponent: int) -> None:
    """A power of two is the upper bound of its bucket at every scale."""
    index = index_of(math.ldexp(1.0, exponent), scale)
    assert index == ((exponent << scale) - 1 if scale > 0 else (exponent - 1) >> -scale)


def test_same_values_need_one_bucket() -> None:
    """The scale stays the finest while there is no range."""
    buckets = Buckets(160)
    for _ in range(10):
        buckets.add(0.25, 1)
    assert (buckets.scale, buckets.counts()) == (MAX_SCALE, [10])
