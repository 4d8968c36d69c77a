"""Comparison: the columns' short cuts against the rule for one pair."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.conditions.compare import Comparison, against, compare
from untrace_pipeline.data import Value

VALUES: st.SearchStrategy[Value] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([0, 1, 2**53, 2**53 + 1, 0.0, -0.0, 1.0, math.nan, math.inf, float(2**53), b"", "", "1"])
    | st.floats()
    | st.text(max_size=3)
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(Comparison), VALUES, st.lists(VALUES, max_size=5))
def test_columns_compare_as_pairs_do(how: Comparison, constant: Value, column: list[Value]) -> None:
    """Every short cut for a column gives what the rule gives for each pair, and gives booleans."""
    found = against(how, constant)(column)
    assert found == [compare(how, value, constant) for value in column]
    assert {type(answer) for answer in found} <= {bool}


@given(st.sampled_from(Comparison), VALUES, VALUES)
def test_mirroring_swaps_the_sides(how: Comparison, a: Value, b: Value) -> None:
    """A comparison and its mirror image agree."""
    assert compare(how, a, b) == compare(how.mirrored, b, a)


@given(VALUES, VALUES)
def test_unequal_is_the_opposite_of_equal(a: Value, b: Value) -> None:
    """== and != never agree, whatever the types."""
    assert compare(Comparison.EQ, a, b) is not compare(Comparison.NE, a, b)


@pytest.mark.parametrize(
    ("a", "how", "b", "holds"),
    [
        (None, "==", None, True),
        (None, "<=", None, True),
        (None, "<", None, False),
        (None, "!=", 1, True),
        (None, ">", 1, False),
        (b"", "==", None, True),
        (1, "==", 1.0, True),
        (1, "==", True, False),
        (1, "==", "1", False),
        (1, "<", "1", False),
        (2**53 + 1, "==", float(2**53), True),
        (math.nan, "==", math.nan, False),
        (False, "<", True, True),
        ("a", "<", "b", True),
        (b"a", "<", b"b", True),
        ([1], "==", [1], True),
        ([1], "==", [1.0], False),
        ([1], "<=", [1], False),
        ({"a": 1}, "==", {"a": 1}, True),
        ({"a": 1}, "!=", {"a": 2}, True),
    ],
)
def test_rules(a: Value, how: str, b: Value, holds: bool) -> None:
    """The rules of OTTL, one by one."""
    assert compare(Comparison(how), a, b) is holds
