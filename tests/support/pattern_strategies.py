"""Regular expressions in RE2's syntax for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["patterns_of"]


def patterns_of(atoms: str) -> st.SearchStrategy[str]:
    """Return patterns made of the atoms, which are separated by spaces."""
    return st.recursive(st.sampled_from(atoms.split()), _grown, max_leaves=8)


def _grown(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    counts = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?", "??"])
    flags = st.sampled_from(["(?i)", "(?s)", "(?m)", "(?i-s)", "(?U)"])
    return st.one_of(
        st.lists(children, min_size=1, max_size=4).map("".join),
        st.tuples(children, children).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(children, counts).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.tuples(flags, children).map(lambda pair: f"({pair[0]}{pair[1]})"),
    )
