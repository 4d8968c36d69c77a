"""The hashes that identities are made of."""

from __future__ import annotations

import pytest

from untrace_plugins.exporters.load_balancing.identity import (
    _fnv,
    _xxh64,
    hash_attributes,
    resource_identity,
)


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_xxh64(data: bytes, digest: int) -> None:
    """Published values, below and above the 32 bytes where the algorithm changes."""
    assert _xxh64(data) == digest


@pytest.mark.parametrize(
    ("data", "digest"), [(b"", 0xCBF29CE484222325), (b"a", 0xAF63DC4C8601EC8C), (b"foobar", 0x85944171F73967E8)]
)
def test_fnv(data: bytes, digest: int) -> None:
    """Published values of FNV-1a."""
    assert _fnv(data) == digest


def test_order_makes_no_difference() -> None:
    """Attributes are a set; kinds of values are told apart."""
    assert hash_attributes({"a": 1, "b": [True, {"x": b"y"}]}) == hash_attributes({"b": [True, {"x": b"y"}], "a": 1})
    assert len({hash_attributes({"a": value}) for value in (1, 1.0, True, "1", b"1", None, [], {}, [1])}) == 9
    assert hash_attributes({}) == bytes(16)
    assert resource_identity(bytes(16)).startswith(b"resource/")
