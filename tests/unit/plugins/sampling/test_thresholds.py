"""Hashes, thresholds and tracestate, each against its definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_plugins.sampling.hashing import FNV_64, Hasher, randomness_of_hash
from untrace_plugins.sampling.thresholds import (
    ALL_RANDOMNESS,
    NEVER,
    parse_randomness,
    parse_threshold,
    probability_of,
    randomness_of_ids,
    randomness_text,
    threshold_of,
    threshold_text,
)
from untrace_plugins.sampling.tracestate import parse_trace_state

IDS = st.lists(st.binary(min_size=16, max_size=16), max_size=70)


def fnv1a(data: bytes) -> int:
    """FNV-1a of 32 bits, as its authors define it."""
    state = 0x811C9DC5
    for byte in data:
        state = (state ^ byte) * 0x01000193 % 2**32
    return state


def fnv1a_64(data: bytes) -> int:
    """FNV-1a of 64 bits, as its authors define it."""
    state = 0xCBF29CE484222325
    for byte in data:
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state


@given(st.integers(0, 2**32 - 1), IDS)
def test_all_ids_at_once_hash_as_one_by_one(seed: int, ids: list[bytes]) -> None:
    """Lanes of one large integer give the hash of seed and id."""
    expected = [fnv1a(seed.to_bytes(4, "little") + one) for one in ids]
    hasher = Hasher(seed.to_bytes(4, "little"))
    assert hasher.hash_ids(ids) == expected
    assert [hasher.hash(one) for one in ids] == expected


@given(st.binary(max_size=9), IDS)
def test_the_same_with_64_bits(prefix: bytes, ids: list[bytes]) -> None:
    """The wider hash, which tail sampling uses."""
    expected = [fnv1a_64(prefix + one) for one in ids]
    hasher = Hasher(prefix, FNV_64)
    assert hasher.hash_ids(ids) == expected
    assert [hasher.hash(one) for one in ids] == expected


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**14))
def test_randomness_decides_as_the_old_rule(value: int, buckets: int) -> None:
    """Consistent samplers keep what hash modulo 2**14 keeps."""
    assert (randomness_of_hash(value) >= (2**14 - buckets) << 42) is (value % 2**14 < buckets)
    assert 0 <= randomness_of_hash(value) < NEVER


@given(IDS)
def test_randomness_is_the_end_of_the_id(ids: list[bytes]) -> None:
    """W3C level 2: the rightmost seven bytes."""
    assert randomness_of_ids(ids) == [int.from_bytes(one[9:], "big") for one in ids]


@pytest.mark.parametrize(
    ("probability", "precision", "text"),
    [
        (1.0, 4, "0"),
        (0.5, 4, "8"),
        (1 / 3, 4, "aaab"),
        (1 / 3, 14, "aaaaaaaaaaaaac"),
        (0.25, 1, "c"),
        (0.01, 4, "fd70a"),
        (0.9999, 3, "00068e"),
        (1e-5, 2, "ffff5"[:5] + "8"),
        (2**-56, 4, "ffffffffffffff"),
    ],
)
def test_thresholds_as_the_collector_rounds_them(probability: float, precision: int, text: str) -> None:
    """Digits are added near 0 and 1, trailing zeros are not written."""
    threshold = threshold_of(probability, precision)
    assert threshold is not None
    assert threshold_text(threshold) == text
    assert parse_threshold(text) == threshold


@given(st.floats(2**-56, 1), st.integers(1, 14))
def test_thresholds_stay_close(probability: float, precision: int) -> None:
    """With d digits the share is off by less than one in the d-th digit, relatively."""
    threshold = threshold_of(probability, precision)
    assert threshold is not None
    assert 0 <= threshold <= NEVER
    assert abs(probability_of(threshold) - probability) <= max(probability * 16.0 ** (1 - precision), 2**-56)


@pytest.mark.parametrize("probability", [0.0, -1.0, 1.1, 1e-30, float("nan")])
def test_impossible_shares(probability: float) -> None:
    """Outside of [2**-56, 1] there is no threshold."""
    assert threshold_of(probability, 4) is None


@given(st.integers(0, ALL_RANDOMNESS))
def test_randomness_reads_back(randomness: int) -> None:
    """14 digits, always."""
    assert len(randomness_text(randomness)) == 14
    assert parse_randomness(randomness_text(randomness)) == randomness


@pytest.mark.parametrize("text", ["", "1" * 15, "g", "0x1", "1_0", " 1"])
def test_broken_values(text: str) -> None:
    """Only hexadecimal digits, and not too many."""
    assert parse_threshold(text) is None
    assert parse_randomness(text) is None


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", ""),
        ("a=b", "a=b"),
        ("a=b, c=d ,", "a=b,c=d"),
        ("a=b,ot=th:8", "ot=th:8,a=b"),
        ("ot=th:80;rv:ABCDEF01234567;x:y", "ot=rv:ABCDEF01234567;th:80;x:y"),
        ("t@sys=v,ot=x:", "ot=x:,t@sys=v"),
        ("ot=th:4,ot=th:8", "ot=th:8"),
    ],
)
def test_tracestate_is_written_canonically(text: str, written: str) -> None:
    """OpenTelemetry's entry first, randomness before threshold, all else in order and unchanged."""
    state, valid = parse_trace_state(text)
    assert valid
    assert str(state) == written


@pytest.mark.parametrize(
    "text",
    [
        "bad",
        "=x",
        "A=b",
        "a=",
        "a=b=c",
        "a=é",
        "ot=",
        "ot=th",
        "ot=th:zz",
        "ot=th:",
        "ot=th:8;",
        "ot=rv:12",
        "ot=TH:8",
        "ot=x:" + "y" * 300,
        "a" * 257 + "=b",
        "a@" + "b" * 15 + "=c",
        "a=" + "b" * 257,
        "a=b," * 300,
        ",".join(f"k{i}=v" for i in range(32)),
    ],
)
def test_broken_tracestate_is_known(text: str) -> None:
    """Whatever W3C or OpenTelemetry do not allow is invalid, never an exception."""
    assert not parse_trace_state(text)[1]


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    """No header is a crash."""
    state, valid = parse_trace_state(text)
    if valid:
        assert parse_trace_state(str(state)) == (state, True)
